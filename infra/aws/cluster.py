"""The Kubernetes cluster: EKS, its add-ons and its node groups."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumiverse_time
from pulumi_aws import ec2, eks, get_caller_identity, iam

from infra.aws.iam import Role, RoleArgs, allow, allow_disk_encryption, trust_pods, trust_service
from infra.aws.kubeconfig import create_kubeconfig
from infra.aws.network import HTTPS, Network, tcp_rule
from infra.aws.nodes import NodeGroupsArgs, create_node_groups, define_node_pools
from infra.aws.observability import Observability
from infra.aws.secrets import Secrets
from infra.contract import (
    ClusterContract,
    DiskContract,
    Endpoint,
    NetworkPolicyEngine,
    TelemetryContract,
    define_gpu_pool,
)
from infra.core.component import Component, StackContext

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_DEPLOYER_TAG = "deployer"
# EKS confirms access before it takes effect; a delay of half a minute has been observed.
# Source: https://github.com/gravitational/teleport/pull/49467
_ACCESS_PROPAGATION = "1m"
# The longest wait in https://github.com/Smana/cloud-native-ref/pull/1669.
_DISK_DELETION = "5m"
# A Network Load Balancer that sends requests to pods directly.
# Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/
_LOAD_BALANCER = {
    "service.beta.kubernetes.io/aws-load-balancer-type": "external",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
}


@dataclass(frozen=True)
class ClusterArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets


class Cluster(Component):
    """A cluster with a private API server, and with two managed node groups in three zones."""

    layer = "aws"

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._name = args.context.naming.regional_name("cluster", limit=100)
        self._node_pools = define_node_pools(args.context, args.network.zones)
        self._exists = self._name in eks.get_clusters(opts=self._invoke_options).names
        self._deployer = self._find_deployer()
        self._cluster = self._create_cluster(name)
        access = self._grant_admins(f"{name}-admin")
        networking = self._create_network_addons(name)
        groups = self._create_node_groups(name, networking)
        addons = self._create_deployed_addons(name, groups)
        self._ready_name = self._name_when_ready(f"{name}-disks", [access, *networking, *groups, *addons])
        self.register_outputs({"name": self._ready_name})

    @property
    def physical_name(self) -> str:
        return self._name

    @property
    def name(self) -> pulumi.Output[str]:
        name: pulumi.Output[str] = self._cluster.name
        return name

    @property
    def log_group(self) -> pulumi.Output[str]:
        """Name of the log group that the control plane writes to."""
        return self._log_group

    @property
    def node_security_group(self) -> pulumi.Output[str]:
        """ID of the group that EKS creates with the cluster, for all of its nodes."""
        group: pulumi.Output[str] = self._cluster.vpc_config.cluster_security_group_id
        return group

    @property
    def contract(self) -> ClusterContract:
        settings = self._args.context.settings
        service = next(ipaddress.IPv4Network(settings.network.service_cidr).hosts())
        return ClusterContract(
            name=self._ready_name,
            kubeconfig=pulumi.Output.secret(create_kubeconfig(self._cluster, self._ready_name, settings.location)),
            oidc_issuer=self._cluster.identities[0].oidcs[0].issuer,
            node_pools=self._node_pools,
            gpu_pool=define_gpu_pool(settings.cluster.gpu_pool, self._args.network.zones),
            # The service `kubernetes`, and behind it EKS's network interfaces in the nodes' subnets.
            api=Endpoint([f"{service}/32", *self._args.network.private_blocks], HTTPS),
            network_policy_engine=NetworkPolicyEngine.VPC_CNI,
            api_tunnel=None,
            disks=DiskContract(
                "ebs.csi.aws.com", {"type": "gp3", "encrypted": "true", "kmsKeyId": self._args.secrets.key.arn}
            ),
            load_balancer_annotations=_LOAD_BALANCER,
        )

    @property
    def telemetry_contract(self) -> TelemetryContract:
        """The log group that most queries read; database, trail and network have their own ones."""
        return TelemetryContract(logs=self._log_group)

    @property
    def _invoke_options(self) -> pulumi.InvokeOptions:
        return pulumi.InvokeOptions(parent=self)

    def _find_deployer(self) -> str:
        """The ARN of the role or user of the first deployment, which the cluster's tag names from then on.

        If it were the current identity, a preview by another one would show the first one's access as removed.
        """
        if self._exists:
            tags = eks.get_cluster(name=self._name, opts=self._invoke_options).tags
            if _DEPLOYER_TAG in tags:
                return str(tags[_DEPLOYER_TAG])
        caller = get_caller_identity(opts=self._invoke_options).arn
        return str(iam.get_session_context(arn=caller, opts=self._invoke_options).issuer_arn)

    def _create_cluster(self, name: str) -> eks.Cluster:
        context, key = self._args.context, self._args.secrets.key.arn
        ranges = context.settings.cluster.authorized_ranges
        role = self._create_role(
            name,
            RoleArgs(
                context,
                "cluster",
                trust_service("eks.amazonaws.com"),
                managed=["AmazonEKSClusterPolicy"],
                statements=[allow(["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"], [key])],
            ),
        )
        # EKS writes to the log group of this name. One that it creates would be unencrypted and never expire.
        logs = self._args.observability.create_log_group(name, f"/aws/eks/{self._name}/cluster", self.child_options())
        self._log_group: pulumi.Output[str] = logs.name
        return eks.Cluster(
            name,
            name=self._name,
            version=context.settings.cluster.kubernetes_version,
            role_arn=role.arn,
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=self._args.network.private_subnets,
                security_group_ids=[self._create_api_group(f"{name}-api").id],
                endpoint_private_access=True,
                endpoint_public_access=bool(ranges),
                public_access_cidrs=ranges or None,
            ),
            # Both from the start: the mode cannot be changed back, and without a new cluster the access of the creating
            # identity could be neither removed nor managed by an access entry.
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=key), resources=["secrets"]
            ),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                service_ipv4_cidr=context.settings.network.service_cidr
            ),
            enabled_cluster_log_types=_LOGS,
            # Otherwise a version past standard support costs six times as much.
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            bootstrap_self_managed_addons=False,  # they are managed add-ons, see below
            deletion_protection=context.settings.resilience.deletion_protection,
            tags={**context.naming.tags, _DEPLOYER_TAG: self._deployer},
            opts=self.child_options(depends_on=[role, logs]),
        )

    def _create_api_group(self, name: str) -> ec2.SecurityGroup:
        """Clients of the API server's private addresses other than nodes: EKS's own group admits only its members."""
        naming = self._args.context.naming
        sources = self._args.context.settings.cluster.private_access_from
        return ec2.SecurityGroup(
            name,
            vpc_id=self._args.network.vpc_id,
            name=naming.regional_name("api", limit=255),
            description="Kubernetes API server",
            ingress=[tcp_rule("Kubernetes API", HTTPS, HTTPS, sources)] if sources else [],
            tags={**naming.tags, "Name": naming.regional_name("api", limit=255)},
            opts=self.child_options(),
        )

    def _grant_admins(self, name: str) -> pulumiverse_time.Sleep:
        """Grant access to the identity of the first deployment and to the roles in the settings, and wait for it.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
        """
        admins = dict.fromkeys([self._deployer, *self._args.context.settings.cluster.admins])
        grants = [self._grant_admin(f"{name}-{principal.rpartition('/')[2]}", principal) for principal in admins]
        return pulumiverse_time.Sleep(
            f"{name}-propagation",
            create_duration=_ACCESS_PROPAGATION,
            triggers={principal: grant.cluster_name for principal, grant in zip(admins, grants, strict=True)},
            opts=self.child_options(),
        )

    def _grant_admin(self, name: str, principal: str) -> eks.AccessPolicyAssociation:
        entry = eks.AccessEntry(
            name,
            cluster_name=self._cluster.name,
            principal_arn=principal,
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )
        return eks.AccessPolicyAssociation(
            name,
            cluster_name=self._cluster.name,
            principal_arn=entry.principal_arn,
            policy_arn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
            access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=self.child_options(),
        )

    def _create_network_addons(self, name: str) -> Sequence[eks.Addon]:
        """The add-ons that nodes need to become `Ready`. They are DaemonSets, so they do not wait for nodes."""
        agent = self._create_addon(name, "eks-pod-identity-agent", [])
        cni = self._create_addon(
            name,
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
            # Without this, NetworkPolicies are accepted but not enforced.
            configuration=json.dumps({"enableNetworkPolicy": "true"}),
        )
        return [agent, cni, self._create_addon(name, "kube-proxy", [])]

    def _create_node_groups(self, name: str, networking: Sequence[eks.Addon]) -> Sequence[eks.NodeGroup]:
        role = self._create_role(
            f"{name}-nodes",
            RoleArgs(
                self._args.context,
                "nodes",
                trust_service("ec2.amazonaws.com"),
                managed=["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"],
            ),
        )
        nodes = NodeGroupsArgs(
            self._args.context,
            self._args.network,
            self._args.secrets.key.arn,
            role,
            self._cluster,
            self._name,
            self._exists,
        )
        return create_node_groups(name, self._node_pools, nodes, self, networking)

    def _create_deployed_addons(self, name: str, groups: Sequence[eks.NodeGroup]) -> Sequence[eks.Addon]:
        """The add-ons that are Deployments, which become ready only once there are nodes."""
        dns = self._create_addon(name, "coredns", groups)
        metrics = self._create_addon(name, "metrics-server", groups)  # without it, pod autoscalers do nothing
        account = "ebs-csi-controller-sa"
        role = RoleArgs(
            self._args.context,
            "ebs-csi",
            trust_pods(self._name, "kube-system", account),
            ["service-role/AmazonEBSCSIDriverPolicy"],
            allow_disk_encryption(self._args.secrets.key.arn),
        )
        volumes = self._create_addon(name, "aws-ebs-csi-driver", groups, identity=(account, role))
        return [dns, metrics, volumes]

    def _name_when_ready(self, name: str, members: Sequence[pulumi.Resource]) -> pulumi.Output[str]:
        """The cluster's name, known once the cluster has administrators, nodes, DNS and disks, which charts need.

        When the stack is destroyed, these remain for some minutes after the last pods and claims are gone, until the
        driver has deleted their disks, which would otherwise remain and be billed.

        Source: https://github.com/aws-solutions-library-samples/global-capacity-orchestrator-on-aws/issues/268
        """
        hold = pulumiverse_time.Sleep(
            name,
            destroy_duration=_DISK_DELETION,
            triggers={"cluster": self._cluster.name},  # an input, so that a preview that replaces a member knows it
            opts=self.child_options(depends_on=members),
        )
        ready: pulumi.Output[str] = hold.triggers["cluster"]
        return ready

    def _create_addon(
        self,
        name: str,
        addon: str,
        after: Sequence[pulumi.Resource],
        identity: tuple[str, RoleArgs] | None = None,
        configuration: str | None = None,
    ) -> eks.Addon:
        """An add-on in EKS's default version for the cluster's version; `identity` is a service account and its role.

        The version is looked up, because EKS does not update add-ons by itself.
        """
        associations, waits_for = [], list(after)
        if identity:
            service_account, args = identity
            role = self._create_role(f"{name}-{addon}", args)
            associations.append(eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=service_account))
            waits_for.append(role)
        return eks.Addon(
            f"{name}-{addon}",
            cluster_name=self._cluster.name,
            addon_name=addon,
            addon_version=eks.get_addon_version(
                addon_name=addon,
                kubernetes_version=self._args.context.settings.cluster.kubernetes_version,
                opts=self._invoke_options,
            ).version,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            pod_identity_associations=associations or None,
            configuration_values=configuration,
            tags=self._args.context.naming.tags,
            opts=self.child_options(depends_on=waits_for),
        )

    def _create_role(self, name: str, args: RoleArgs) -> Role:
        return Role(name, args, self.child_options())
