"""The cluster's node pools."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_azure_native import containerservice

from infra.azure.network import ZONES, Network
from infra.contract import POOL_LABEL, NodePool, Taint, TaintEffect
from infra.core.component import Component, StackContext

_SYSTEM_TAINT = Taint("CriticalAddonsOnly", "true", TaintEffect.NO_SCHEDULE)
# Of a pool's nodes, as Azure recommends for production, so that an upgrade takes at most four rounds: with the time to
# drain and to watch the nodes of each, that fits in the maintenance window. By default it would take ten.
# Source: https://learn.microsoft.com/azure/aks/upgrade-aks-node-pools-rolling
_SURGE = "33%"
# A pool that scales from zero has machines for which most subscriptions have little quota.
_SCARCE_SURGE = "1"
_DRAIN_MINUTES = 30  # for a model's next replica to load before the previous one is evicted
_SOAK_MINUTES = 5  # for alerts on the pods that moved
_MAXIMUM_PODS = 110  # per node, as Kubernetes recommends; the overlay would allow 250


def define_node_pools(context: StackContext) -> tuple[NodePool, NodePool]:
    """The system pool and the user pool."""
    settings = context.settings.cluster
    system, user = settings.system_pool, settings.user_pool
    return (
        NodePool(
            "system", system.size, system.minimum, system.maximum, ZONES, {POOL_LABEL: "system"}, (_SYSTEM_TAINT,)
        ),
        NodePool("user", user.size, user.minimum, user.maximum, ZONES, {POOL_LABEL: "user"}),
    )


def define_system_profile(
    pool: NodePool, context: StackContext, network: Network
) -> containerservice.ManagedClusterAgentPoolProfileArgs:
    """The profile of the pool that a cluster is created with."""
    return containerservice.ManagedClusterAgentPoolProfileArgs(
        name=pool.name, mode="System", **_pool_args(pool, context, network)
    )


def create_pool(
    name: str,
    pool: NodePool,
    context: StackContext,
    network: Network,
    cluster: containerservice.ManagedCluster,
    parent: Component,
) -> containerservice.AgentPool:
    """A pool in addition to the one that the cluster was created with."""
    return containerservice.AgentPool(
        name,
        resource_group_name=network.resource_group,
        resource_name_=cluster.name,
        agent_pool_name=pool.name,
        mode="User",
        **_pool_args(pool, context, network),
        opts=parent.child_options(
            depends_on=[cluster],  # AKS rejects a pool of a newer version than the control plane's
            # AKS cannot resize a pool, but the provider tries to. Both have one name, so the old pool is deleted first.
            replace_on_changes=["vmSize"],
            delete_before_replace=True,
        ),
    )


def _pool_args(pool: NodePool, context: StackContext, network: Network) -> dict[str, object]:
    """The arguments that all pools have. AKS installs the drivers of a size's GPUs, unless a pool opts out.

    They do not include the number of nodes: AKS starts with the minimum, and a number here would reset the autoscaler's
    with every other change. Sources: https://github.com/Azure/AKS/issues/1627 and
    https://github.com/Azure/ARO-HCP/pull/3659, where Microsoft's own clusters leave it out; for the drivers
    https://learn.microsoft.com/azure/aks/use-nvidia-gpu
    """
    return {
        "type": "VirtualMachineScaleSets",
        "os_type": "Linux",
        "os_sku": "AzureLinux",
        "vm_size": pool.size,
        "availability_zones": list(pool.zones),
        "enable_auto_scaling": True,
        "min_count": pool.minimum,
        "max_count": pool.maximum,
        # Without it, a pool keeps its version when the control plane is upgraded.
        "orchestrator_version": context.settings.cluster.kubernetes_version,
        "node_labels": pool.labels,
        "node_taints": _format_taints(pool.taints),
        "vnet_subnet_id": network.nodes_subnet,
        "max_pods": _MAXIMUM_PODS,
        "enable_node_public_ip": False,
        # Requires that the subscription has registered the feature Microsoft.Compute/EncryptionAtHost.
        "enable_encryption_at_host": True,
        "security_profile": containerservice.AgentPoolSecurityProfileArgs(ssh_access="Disabled"),
        "upgrade_settings": containerservice.AgentPoolUpgradeSettingsArgs(
            max_surge=_SURGE if pool.minimum else _SCARCE_SURGE,
            drain_timeout_in_minutes=_DRAIN_MINUTES,
            node_soak_duration_in_minutes=_SOAK_MINUTES,
        ),
        "tags": context.naming.tags,
    }


def _format_taints(taints: Sequence[Taint]) -> list[str] | None:
    return [f"{taint.key}={taint.value}:{taint.effect}" for taint in taints] or None
