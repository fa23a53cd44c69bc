"""The Kubernetes cluster: EKS, its add-ons and its nodes."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ebs, ec2, eks

from infra.aws.iam import Role, RoleArgs, allow, trust, trust_pods
from infra.aws.network import HTTPS, Network
from infra.aws.observability import Observability
from infra.aws.secrets import Secrets
from infra.contract import ClusterContract, Endpoint, NodePool, Taint, TaintEffect
from infra.core.component import Component, StackContext
from infra.core.settings import NodePoolSettings

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_STORAGE_CLASS = "ebs-csi-default-sc"  # what the EBS driver's add-on calls the one it makes
_DISK_GB = 100  # GiB for images, logs and scratch; ML images take several GiB each


@dataclass(frozen=True)
class ClusterArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets


class Cluster(Component):
    """A cluster with a private API, and two managed node groups over three zones."""

    layer = "aws"

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._name = args.context.naming.regional_name("cluster", limit=100)
        self._pools = self._plan_pools()
        self._cluster = self._create_cluster()
        networking = self._create_networking()
        groups = self._create_node_groups(networking)
        addons = self._create_addons(groups)
        self._ready_name = self._name_when_ready([*networking, *groups, *addons])
        self.register_outputs({"name": self._ready_name})

    def _plan_pools(self) -> Sequence[NodePool]:
        settings = self._args.context.settings.cluster
        critical = Taint("CriticalAddonsOnly", "true", TaintEffect.NO_SCHEDULE)
        return [
            self._plan_pool("system", settings.system_pool, [critical]),
            self._plan_pool("user", settings.user_pool, []),
        ]

    def _plan_pool(self, name: str, settings: NodePoolSettings, taints: Sequence[Taint]) -> NodePool:
        return NodePool(
            name=name,
            size=settings.size,
            minimum=settings.minimum,
            maximum=settings.maximum,
            zones=self._args.network.zones,
            labels={"groundwork/pool": name},
            taints=taints,
        )

    def _create_cluster(self) -> eks.Cluster:
        context, key = self._args.context, self._args.secrets.key.arn
        ranges = context.settings.cluster.authorized_ranges
        role = self._role(
            "cluster",
            RoleArgs(
                context,
                "cluster",
                trust("eks.amazonaws.com"),
                managed=["AmazonEKSClusterPolicy"],
                statements=[allow(["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"], [key])],
            ),
        )
        # Found by EKS under this name; its own would be unencrypted and kept for ever.
        logs = self._args.observability.log_group("cluster", f"/aws/eks/{self._name}/cluster", self.child_options())
        return eks.Cluster(
            "cluster",
            name=self._name,
            version=context.settings.cluster.kubernetes_version,
            role_arn=role.arn,
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=self._args.network.private_subnets,
                endpoint_private_access=True,
                endpoint_public_access=bool(ranges),
                public_access_cidrs=ranges or None,
            ),
            # `API` from the start: there is no way back from it, nor from CONFIG_MAP to a clean cluster.
            # Whoever creates the cluster administers it, for Pulumi has to install what runs on it.
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
            ),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=key), resources=["secrets"]
            ),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                service_ipv4_cidr=context.settings.network.service_cidr
            ),
            enabled_cluster_log_types=_LOGS,
            # Without it a version that falls out of standard support costs six times as much.
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            bootstrap_self_managed_addons=False,  # all of them are managed add-ons, below
            deletion_protection=context.settings.production,
            tags=context.naming.tags,
            opts=self.child_options(depends_on=[role, logs]),
        )

    def _create_networking(self) -> Sequence[eks.Addon]:
        """What a node needs before it can become Ready; as DaemonSets these do not wait for nodes."""
        agent = self._addon("eks-pod-identity-agent", [])
        cni = self._addon(
            "vpc-cni",
            [agent],
            identity=(
                "aws-node",
                RoleArgs(
                    self._args.context,
                    "vpc-cni",
                    trust_pods(self._name, "kube-system", "aws-node"),
                    ["AmazonEKS_CNI_Policy"],
                ),
            ),
            # Without it NetworkPolicies are accepted and nobody enforces them.
            configuration=json.dumps({"enableNetworkPolicy": "true"}),
        )
        return [agent, cni, self._addon("kube-proxy", [])]

    def _create_node_groups(self, networking: Sequence[eks.Addon]) -> Sequence[eks.NodeGroup]:
        role = self._role(
            "cluster-nodes",
            RoleArgs(
                self._args.context,
                "nodes",
                trust("ec2.amazonaws.com"),
                managed=["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"],
            ),
        )
        return [self._create_node_group(pool, role, networking) for pool in self._pools]

    def _create_node_group(self, pool: NodePool, role: Role, networking: Sequence[pulumi.Resource]) -> eks.NodeGroup:
        context, template = self._args.context, self._create_template(pool)
        return eks.NodeGroup(
            f"cluster-{pool.name}",
            cluster_name=self._cluster.name,
            # A prefix, for a change of size makes the new group before it drains the old one.
            node_group_name_prefix=f"{pool.name}-",
            node_role_arn=role.arn,
            subnet_ids=self._args.network.private_subnets,
            instance_types=[pool.size],
            ami_type=_image(pool.size),
            capacity_type="ON_DEMAND",
            version=context.settings.cluster.kubernetes_version,
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=pool.minimum, max_size=pool.maximum, desired_size=pool.minimum
            ),
            launch_template=eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
            labels=pool.labels,
            taints=[
                eks.NodeGroupTaintArgs(key=taint.key, value=taint.value, effect=taint.effect.name)
                for taint in pool.taints
            ],
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            tags=context.naming.tags,
            opts=self.child_options(
                depends_on=[role, self._args.network, *networking],  # without its way out no node joins
                ignore_changes=["scalingConfig.desiredSize"],  # the autoscaler moves it
            ),
        )

    def _create_template(self, pool: NodePool) -> ec2.LaunchTemplate:
        naming = self._args.context.naming
        tags = {**naming.tags, "Name": naming.regional_name(pool.name)}
        return ec2.LaunchTemplate(
            f"cluster-{pool.name}",
            name=naming.regional_name(pool.name, limit=128),
            update_default_version=True,
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # One hop: pods, being one further, cannot take the node's role.
                http_put_response_hop_limit=1,
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true",
                        kms_key_id=self._args.secrets.key.arn,
                        volume_size=_DISK_GB,
                        volume_type="gp3",
                        delete_on_termination="true",
                    ),
                )
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("instance", "volume", "network-interface")
            ],
            tags=naming.tags,
            opts=self.child_options(),
        )

    def _create_addons(self, groups: Sequence[eks.NodeGroup]) -> Sequence[eks.Addon]:
        """What runs as Deployments, and so waits for nodes to run on."""
        dns = self._addon("coredns", groups)
        account = "ebs-csi-controller-sa"
        role = RoleArgs(
            self._args.context,
            "ebs-csi",
            trust_pods(self._name, "kube-system", account),
            ["service-role/AmazonEBSCSIDriverPolicy"],
        )
        # Its storage class asks for no encryption, so the account has to: without this, volumes would be plain.
        # Encryption stays on when the stack goes, for others may rely on it.
        encryption = ebs.EncryptionByDefault(
            "cluster-volumes", enabled=True, opts=self.child_options(retain_on_delete=True)
        )
        volumes = self._addon(
            "aws-ebs-csi-driver",
            [*groups, encryption],
            identity=(account, role),
            configuration=json.dumps({"defaultStorageClass": {"enabled": True}}),
        )
        return [dns, volumes]

    def _name_when_ready(self, members: Sequence[eks.NodeGroup | eks.Addon]) -> pulumi.Output[str]:
        """The cluster's name, had only once it has nodes, DNS and disks: charts would wait for them in vain.

        It is taken from what each member was declared with, so a preview that replaces one still knows it.
        """
        names = [member.cluster_name for member in members]
        return pulumi.Output.all(*names).apply(lambda names: str(names[0]))

    def _addon(
        self,
        addon: str,
        after: Sequence[pulumi.Resource],
        identity: tuple[str, RoleArgs] | None = None,
        configuration: str | None = None,
    ) -> eks.Addon:
        """An add-on in the version that EKS prefers for the cluster's; `identity` is a service account's role."""
        associations, waits_for = [], list(after)
        if identity:
            service_account, args = identity
            role = self._role(f"cluster-{addon}", args)
            associations.append(eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=service_account))
            waits_for.append(role)
        return eks.Addon(
            f"cluster-{addon}",
            cluster_name=self._cluster.name,
            addon_name=addon,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            pod_identity_associations=associations or None,
            configuration_values=configuration,
            tags=self._args.context.naming.tags,
            opts=self.child_options(depends_on=waits_for),
        )

    def _role(self, name: str, args: RoleArgs) -> Role:
        return Role(name, args, self.child_options())

    @property
    def physical_name(self) -> str:
        return self._name

    @property
    def name(self) -> pulumi.Output[str]:
        name: pulumi.Output[str] = self._cluster.name
        return name

    @property
    def contract(self) -> ClusterContract:
        settings = self._args.context.settings
        service = next(ipaddress.IPv4Network(settings.network.service_cidr).hosts())
        return ClusterContract(
            name=self._ready_name,
            kubeconfig=pulumi.Output.secret(self._kubeconfig()),
            oidc_issuer=self._cluster.identities[0].oidcs[0].issuer,
            node_pools=self._pools,
            # The service `kubernetes`, and behind it EKS's network interfaces in the nodes' subnets.
            api=Endpoint([f"{service}/32", *self._args.network.private_blocks], HTTPS),
            storage_class=_STORAGE_CLASS,
        )

    def _kubeconfig(self) -> pulumi.Output[str]:
        """Says how to get a credential and holds none: AWS's CLI makes a token from the caller's own."""
        name, region = self._ready_name, self._args.context.settings.location
        command = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"],
            "interactiveMode": "Never",
        }
        server = {
            "server": self._cluster.endpoint,
            "certificate-authority-data": self._cluster.certificate_authority.data,
        }
        return pulumi.Output.json_dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": server}],
                "users": [{"name": name, "user": {"exec": command}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "current-context": name,
            }
        )


def _image(size: str) -> str:
    """Amazon Linux for the processor: a `g` after the generation, as in m7g or c6gn, is Graviton."""
    return "AL2023_ARM_64_STANDARD" if re.match(r"[a-z]+\d+g", size) else "AL2023_x86_64_STANDARD"
