"""Azure Kubernetes Service: the nodes of a cluster's own pools and of pools that are separate resources."""

import re
from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.engine.control import Setting
from policies.engine.expectations import (
    IS_TRUE,
    Requirement,
    any_matches,
    at_least,
    check_each,
    expect,
    fail_if_all,
    none_of,
    one_of,
)
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

NODES = (
    "azure-native:containerservice:ManagedCluster",
    "azure-native:containerservice:AgentPool",
)
CLUSTER_POOLS = "agentPoolProfiles"
_SURGE = re.compile(r"[1-9]\d*%?")


def _in_pools(props: Props, setting: str) -> str:
    """The path of a setting of nodes. The properties show whether the resource is a cluster or a pool."""
    return setting if look_up(props, CLUSTER_POOLS) is ABSENT else f"{CLUSTER_POOLS}[*].{setting}"


@control(
    "azure-aks-node-encryption",
    title="AKS nodes encrypt temporary disks and caches",
    severity="medium",
    types=NODES,
    remedy="set enableEncryptionAtHost to true on every pool; the subscription must register the feature first",
    references=("CKV_AZURE_227", "AzPolicy:encryption-at-host"),
)
def node_encryption(props: Props) -> Findings:
    path = _in_pools(props, "enableEncryptionAtHost")
    yield from expect(props, path, IS_TRUE, "temporary disks and caches are stored without encryption")


@control(
    "azure-aks-node-ssh",
    title="AKS nodes do not accept SSH keys",
    severity="medium",
    types=NODES,
    remedy="set securityProfile.sshAccess to Disabled on every pool",
    references=("AzPolicy:disable-SSH",),
)
def node_ssh(props: Props) -> Findings:
    path = _in_pools(props, "securityProfile.sshAccess")
    yield from expect(props, path, one_of("Disabled", "EntraId"), "a leaked key opens every node")


@control(
    "azure-aks-node-zones",
    title="AKS nodes are in several zones",
    severity="medium",
    types=NODES,
    remedy="list at least two availabilityZones on every pool; they cannot be changed later",
)
def node_zones(props: Props) -> Findings:
    several = Requirement("must list at least two zones", lambda zones: len(as_list(zones)) >= 2)
    yield from expect(props, _in_pools(props, "availabilityZones"), several, "the loss of one zone stops every pod")


@control(
    "azure-aks-node-autoscaling",
    title="The number of AKS nodes scales with the load",
    severity="low",
    types=NODES,
    remedy="set enableAutoScaling to true with minCount and maxCount on every pool",
)
def node_autoscaling(props: Props) -> Findings:
    path = _in_pools(props, "enableAutoScaling")
    yield from expect(props, path, IS_TRUE, "idle nodes are paid for, and pods wait when nodes are full")


@control(
    "azure-aks-node-scale-sets",
    title="AKS nodes are in scale sets",
    severity="low",
    types=NODES,
    remedy="leave type unset or set it to VirtualMachineScaleSets",
    references=("CKV_AZURE_169",),
)
def node_scale_sets(props: Props) -> Findings:
    accepted = none_of("must not be an availability set", "AvailabilitySet")
    yield from expect(props, _in_pools(props, "type"), accepted, "the pool cannot scale", absent_passes=True)


@control(
    "azure-aks-node-pods",
    title="AKS nodes have room for enough pods",
    severity="low",
    types=NODES,
    remedy="raise maxPods; it cannot be changed later",
    references=("CKV_AZURE_168",),
    settings={"minPods": Setting({"type": "integer", "minimum": 10, "maximum": 250}, default=50)},
)
def node_pods(props: Props, settings: Mapping[str, Any]) -> Findings:
    enough = at_least(settings["minPods"])
    yield from expect(props, _in_pools(props, "maxPods"), enough, "small pods cannot use the whole node")


@control(
    "azure-aks-node-system-taint",
    title="Only AKS's own pods run on the system nodes",
    severity="low",
    types=NODES,
    remedy="list CriticalAddonsOnly=true:NoSchedule in nodeTaints of the pools of mode System",
    references=("CKV_AZURE_232", "AzPolicy:reserved-system-pool-taints"),
)
def node_system_taint(props: Props) -> Findings:
    def check(where: str, pool: Any) -> Findings:
        is_system = any_matches([look_up(pool, "mode")], lambda mode: str(mode).lower() == "system")
        reserved = any_matches(
            as_list(look_up(pool, "nodeTaints")), lambda taint: str(taint).startswith("CriticalAddonsOnly=")
        )
        problem = "must be tainted with CriticalAddonsOnly, otherwise applications crowd out DNS and metrics"
        yield from fail_if_all(where, [is_system, UNKNOWN if reserved is UNKNOWN else not reserved], problem)

    yield from check_each(props, f"{CLUSTER_POOLS}[*]", check)
    yield from check("the pool", props)


@control(
    "azure-aks-node-surge",
    title="AKS adds nodes before it upgrades others",
    severity="low",
    types=NODES,
    remedy="set upgradeSettings.maxSurge on every pool, such as 33%",
)
def node_surge(props: Props) -> Findings:
    def check(where: str, pool: Any) -> Findings:
        spot, surge = look_up(pool, "scaleSetPriority"), look_up(pool, "upgradeSettings.maxSurge")
        # Spot pools have no surge: https://github.com/hashicorp/terraform-provider-azurerm/issues/19355
        regular = UNKNOWN if spot is UNKNOWN else spot != "Spot"
        without = UNKNOWN if surge is UNKNOWN else not _SURGE.fullmatch(str(surge))
        problem = "must set upgradeSettings.maxSurge above 0, otherwise an upgrade is slow, or takes nodes away"
        yield from fail_if_all(where, [regular, without], problem)

    if look_up(props, CLUSTER_POOLS) in (ABSENT, []):
        yield from check("the pool", props)
    yield from check_each(props, f"{CLUSTER_POOLS}[*]", check)
