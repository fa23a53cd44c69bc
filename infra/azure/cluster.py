"""The Kubernetes cluster: AKS, its identities and its node pools."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, compute, containerservice, managedidentity, monitor

from infra.azure.identity import (
    CLUSTER_PROPAGATION,
    Role,
    assign_role,
    assignment_name,
    role_definition_id,
    wait_for_propagation,
)
from infra.azure.kubeconfig import set_login
from infra.azure.network import ZONES, Network
from infra.azure.nodes import create_pool, define_node_pools, define_system_profile
from infra.azure.observability import Observability
from infra.azure.registry import Registry
from infra.azure.secrets import Secrets
from infra.contract import ClusterContract, DiskContract, Endpoint, NetworkPolicyEngine, define_gpu_pool
from infra.core.component import Component, StackContext
from infra.core.maintenance import find_window

# The data that Container Insights collects. Container logs are excluded: Loki stores them at lower cost.
_INSIGHTS_STREAMS = (
    "Microsoft-KubeEvents",
    "Microsoft-KubePodInventory",
    "Microsoft-KubeNodeInventory",
    "Microsoft-InsightsMetrics",
)
# AKS's names of what it maintains: its weekly releases, and the upgrades of both channels.
# Source: https://learn.microsoft.com/azure/aks/planned-maintenance
_MAINTENANCE = {
    "releases": "default",
    "version": "aksManagedAutoUpgradeSchedule",
    "images": "aksManagedNodeOSUpgradeSchedule",
}
# Zone-redundant, so that a disk can follow its pod into another zone, as in AKS's own classes.
# Source: https://learn.microsoft.com/azure/aks/concepts-storage#storage-classes
_DISK_SKU = "StandardSSD_ZRS"


@dataclass(frozen=True)
class ClusterArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets
    registry: Registry


class Cluster(Component):
    """A cluster with a private API server, without local accounts, and with node pools in three zones."""

    layer = "azure"

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._node_pools = define_node_pools(args.context)
        self._gpu_pool = define_gpu_pool(args.context.settings.cluster.gpu_pool, ZONES)
        self._control = self._create_identity(f"{name}-control", "cluster")
        self._kubelet = self._create_identity(f"{name}-kubelet", "kubelet")
        self._disks = self._create_disk_encryption(f"{name}-disks")
        grants = self._grant_identities(name)
        self._cluster = self._create_cluster(name, wait_for_propagation(f"{name}-control", grants, self))
        self._id: pulumi.Output[str] = self._cluster.id
        self._oidc_issuer: pulumi.Output[str] = self._cluster.oidc_issuer_profile.issuer_url
        for pool in filter(None, (self._node_pools[1], self._gpu_pool)):
            create_pool(f"{name}-{pool.name}", pool, args.context, args.network, self._cluster, self)
        self._create_maintenance(f"{name}-maintenance")
        self._create_data_collection(f"{name}-insights")
        self._creator = wait_for_propagation(
            f"{name}-creator", [self._grant_creator(f"{name}-creator")], self, CLUSTER_PROPAGATION
        )
        self._grant_admins(name)
        self.register_outputs({"name": self._cluster.name, "oidc_issuer": self._oidc_issuer})

    @property
    def id(self) -> pulumi.Output[str]:
        return self._id

    @property
    def contract(self) -> ClusterContract:
        return ClusterContract(
            name=self._cluster.name,
            kubeconfig=self._kubeconfig,
            oidc_issuer=self._oidc_issuer,
            node_pools=self._node_pools,
            gpu_pool=self._gpu_pool,
            # The service `kubernetes`, always the first address, and behind it the API server's subnet.
            api=Endpoint([f"{self._service_address(1)}/32", self._args.network.blocks.api], 443),
            network_policy_engine=NetworkPolicyEngine.CILIUM,
            # Their calls have the address of a pod, even if the API server is in the network.
            # Source: https://github.com/tigera/operator/pull/5212, https://github.com/Azure/AKS/issues/4119
            api_tunnel={"app": "konnectivity-agent"},
            disks=DiskContract("disk.csi.azure.com", {"skuName": _DISK_SKU, "diskEncryptionSetID": self._disks.id}),
            # Source: https://learn.microsoft.com/azure/aks/internal-lb
            load_balancer_annotations={"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
        )

    @property
    def _kubeconfig(self) -> pulumi.Output[str]:
        """A kubeconfig without credentials: kubelogin signs its user in.

        It names the server by its public name, which a private cluster has too: it resolves to the private address
        everywhere, without links to AKS's private DNS zone. Source:
        https://learn.microsoft.com/azure/aks/private-clusters
        """
        login = self._args.context.settings.cluster.login
        credentials = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=self._args.network.resource_group,
            resource_name=self._cluster.name,
            format="exec",
            server_fqdn="public",
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=[self._creator]),
        )
        return pulumi.Output.secret(
            credentials.apply(lambda answer: set_login(base64.b64decode(answer.kubeconfigs[0].value).decode(), login))
        )

    def _service_address(self, number: int) -> str:
        """The n-th address in the block of Kubernetes services."""
        return str(ipaddress.IPv4Network(self._args.context.settings.network.service_cidr)[number])

    def _create_identity(self, name: str, suffix: str) -> managedidentity.UserAssignedIdentity:
        return managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=self._args.network.resource_group,
            resource_name_=self._args.context.naming.regional_name(suffix, limit=128),
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )

    def _create_disk_encryption(self, name: str) -> compute.DiskEncryptionSet:
        encryption = self._args.secrets.encryption
        return compute.DiskEncryptionSet(
            name,
            resource_group_name=self._args.network.resource_group,
            disk_encryption_set_name=self._args.context.naming.regional_name("disks", limit=80),
            encryption_type="EncryptionAtRestWithCustomerKey",
            identity=compute.EncryptionSetIdentityArgs(
                type="UserAssigned", user_assigned_identities=[encryption.identity]
            ),
            # Azure requires a version, and replaces it after each rotation.
            active_key=compute.KeyForDiskEncryptionSetArgs(key_url=encryption.key_version),
            rotation_to_latest_key_version_enabled=True,
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )

    def _grant_identities(self, name: str) -> list[authorization.RoleAssignment]:
        """The roles that control plane and nodes need before the cluster can be created."""
        network, vault = self._args.network, self._args.secrets.vault_id
        control: Mapping[str, tuple[Role, pulumi.Output[str]]] = {
            "nodes-subnet": (Role.NETWORK_CONTRIBUTOR, network.nodes_subnet),
            "api-subnet": (Role.NETWORK_CONTRIBUTOR, network.api_subnet),
            "kubelet": (Role.MANAGED_IDENTITY_OPERATOR, self._kubelet.id),
            "disks": (Role.READER, self._disks.id),
            # For the encryption of Kubernetes secrets, and for the private link to the vault.
            "key": (Role.KEY_VAULT_CRYPTO_USER, vault),
            "vault": (Role.KEY_VAULT_CONTRIBUTOR, vault),
        }
        grants = [
            assign_role(f"{name}-control-{what}", role, scope, self._control.principal_id, self)
            for what, (role, scope) in control.items()
        ]
        pull = assign_role(
            f"{name}-kubelet-pull", Role.ACR_PULL, self._args.registry.id, self._kubelet.principal_id, self
        )
        return [*grants, pull]

    def _create_cluster(self, name: str, grants: pulumi.Resource) -> containerservice.ManagedCluster:
        context, network = self._args.context, self._args.network
        settings = context.settings.cluster
        return containerservice.ManagedCluster(
            name,
            resource_group_name=network.resource_group,
            resource_name_=context.naming.regional_name("aks"),
            node_resource_group=context.naming.regional_name("aks-nodes", limit=80),
            dns_prefix=context.naming.regional_name("aks", limit=54),
            sku=containerservice.ManagedClusterSKUArgs(
                name="Base", tier="Standard" if context.settings.resilience.control_plane_sla else "Free"
            ),
            kubernetes_version=settings.kubernetes_version,
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            identity=containerservice.ManagedClusterIdentityArgs(
                type="UserAssigned", user_assigned_identities=[self._control.id]
            ),
            identity_profile={
                "kubeletidentity": containerservice.UserAssignedIdentityArgs(
                    resource_id=self._kubelet.id,
                    client_id=self._kubelet.client_id,
                    object_id=self._kubelet.principal_id,
                )
            },
            enable_rbac=True,
            disable_local_accounts=True,
            aad_profile=containerservice.ManagedClusterAADProfileArgs(managed=True, enable_azure_rbac=True),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            api_server_access_profile=self._api_server_access(),
            network_profile=self._network_profile(),
            security_profile=self._security_profile(),
            addon_profiles=self._addon_profiles(),
            disk_encryption_set_id=self._disks.id,
            agent_pool_profiles=[define_system_profile(self._node_pools[0], context, network)],
            tags=context.naming.tags,
            opts=self.child_options(depends_on=[grants]),
        )

    def _api_server_access(self) -> containerservice.ManagedClusterAPIServerAccessProfileArgs:
        """Place the API server in a subnet of the network; from the internet, only authorized ranges can reach it."""
        ranges = self._args.context.settings.cluster.authorized_ranges
        return containerservice.ManagedClusterAPIServerAccessProfileArgs(
            enable_private_cluster=not ranges,
            private_dns_zone=None if ranges else "system",
            enable_private_cluster_public_fqdn=None if ranges else True,
            authorized_ip_ranges=ranges or None,
            enable_vnet_integration=True,
            subnet_id=self._args.network.api_subnet,
            disable_run_command=True,
        )

    def _network_profile(self) -> containerservice.ContainerServiceNetworkProfileArgs:
        settings = self._args.context.settings.network
        return containerservice.ContainerServiceNetworkProfileArgs(
            network_plugin="azure",
            network_plugin_mode="overlay",
            network_dataplane="cilium",
            network_policy="cilium",
            pod_cidr=settings.pod_cidr,
            service_cidr=settings.service_cidr,
            dns_service_ip=self._service_address(10),
            load_balancer_sku="standard",
            outbound_type="userAssignedNATGateway",
        )

    def _security_profile(self) -> containerservice.ManagedClusterSecurityProfileArgs:
        encryption = self._args.secrets.encryption
        return containerservice.ManagedClusterSecurityProfileArgs(
            workload_identity=containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
            # The vault is private; AKS reaches it through the API server's subnet.
            azure_key_vault_kms=containerservice.AzureKeyVaultKmsArgs(
                enabled=True,
                # A key of its own: after a rotation, all Kubernetes secrets have to be written again. Source:
                # https://learn.microsoft.com/azure/aks/use-kms-etcd-encryption#rotate-existing-keys-in-a-private-key-vault
                key_id=self._args.secrets.create_pinned_key("kubernetes"),
                key_vault_network_access="Private",
                key_vault_resource_id=encryption.vault,
            ),
            defender=containerservice.ManagedClusterSecurityProfileDefenderArgs(
                log_analytics_workspace_resource_id=self._args.observability.workspace_id,
                security_monitoring=containerservice.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs(
                    enabled=True
                ),
            ),
            image_cleaner=containerservice.ManagedClusterSecurityProfileImageCleanerArgs(
                enabled=True, interval_hours=48
            ),
        )

    def _addon_profiles(self) -> Mapping[str, containerservice.ManagedClusterAddonProfileArgs]:
        return {
            "azurepolicy": containerservice.ManagedClusterAddonProfileArgs(enabled=True),
            "omsagent": containerservice.ManagedClusterAddonProfileArgs(
                enabled=True,
                config={
                    "logAnalyticsWorkspaceResourceID": self._args.observability.workspace_id,
                    "useAADAuth": "true",
                },
            ),
        }

    def _create_maintenance(self, name: str) -> None:
        """When AKS maintains the cluster. Without `startDate`, which could not be sent again once it has passed.

        Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/22762
        """
        window = find_window(self._args.context.settings)
        for what, configuration in _MAINTENANCE.items():
            containerservice.MaintenanceConfiguration(
                f"{name}-{what}",
                resource_group_name=self._args.network.resource_group,
                resource_name_=self._cluster.name,
                config_name=configuration,
                maintenance_window=containerservice.MaintenanceWindowArgs(
                    schedule=containerservice.ScheduleArgs(
                        weekly=containerservice.WeeklyScheduleArgs(interval_weeks=1, day_of_week=window.start.day_name)
                    ),
                    start_time=window.start.time,
                    utc_offset="+00:00",
                    duration_hours=window.hours,
                ),
                opts=self.child_options(),
            )

    def _create_data_collection(self, name: str) -> None:
        """The data collection rule that the monitoring agent needs because the workspace accepts no keys."""
        naming = self._args.context.naming
        rule = monitor.DataCollectionRule(
            name,
            resource_group_name=self._args.network.resource_group,
            data_collection_rule_name=naming.regional_name("insights", limit=64),
            kind="Linux",
            data_sources=monitor.DataCollectionRuleDataSourcesArgs(
                extensions=[
                    monitor.ExtensionDataSourceArgs(
                        name="ContainerInsightsExtension",
                        extension_name="ContainerInsights",
                        streams=list(_INSIGHTS_STREAMS),
                    )
                ]
            ),
            destinations=monitor.DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    monitor.LogAnalyticsDestinationArgs(
                        name="logs", workspace_resource_id=self._args.observability.workspace_id
                    )
                ]
            ),
            data_flows=[monitor.DataFlowArgs(streams=list(_INSIGHTS_STREAMS), destinations=["logs"])],
            tags=naming.tags,
            opts=self.child_options(),
        )
        monitor.DataCollectionRuleAssociation(
            name,
            resource_uri=self._cluster.id,
            association_name="ContainerInsightsExtension",
            data_collection_rule_id=rule.id,
            opts=self.child_options(),
        )

    def _grant_creator(self, name: str) -> authorization.RoleAssignment:
        """Make the identity that creates the cluster its administrator, as on EKS: it installs the platform."""
        account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        return authorization.RoleAssignment(
            name,
            role_assignment_name=assignment_name(self._id, Role.KUBERNETES_CLUSTER_ADMIN, account.object_id),
            role_definition_id=role_definition_id(Role.KUBERNETES_CLUSTER_ADMIN, self),
            scope=self._cluster.id,
            principal_id=account.object_id,
            opts=self.child_options(ignore_changes=["principalId", "roleAssignmentName"]),
        )

    def _grant_admins(self, name: str) -> None:
        for group in self._args.context.settings.cluster.admins:
            assign_role(
                f"{name}-admin-{group.partition('-')[0]}",
                Role.KUBERNETES_CLUSTER_ADMIN,
                self._cluster.id,
                group,
                self,
                principal_type="Group",
            )
