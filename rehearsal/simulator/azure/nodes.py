"""AKS agent pools, and the encryption of their disks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, find_in_group
from rehearsal.simulator.core.resource_model import Resource, ResourceRequest, Transition
from rehearsal.simulator.core.rules import list_objects, matches, one_of, refuse_when, require_any
from rehearsal.simulator.core.transitions import compare_versions, get_change, parse_version, refuse_change

CLUSTER_PATH = "Microsoft.ContainerService/managedClusters/{resourceName}"
_POOL_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")


# Properties of an agent pool that cannot change after its creation. Source:
# https://learn.microsoft.com/azure/aks/manage-node-pools#limitations and, for the message,
# https://github.com/pulumi/pulumi-azure-native/issues/959
IMMUTABLE_POOL_PROPERTIES = (
    "availabilityZones",
    "enableEncryptionAtHost",
    "kubeletConfig",
    "linuxOSConfig",
    "maxPods",
    "osDiskSizeGB",
    "osDiskType",
    "osType",
    "podSubnetID",
    "scaleSetPriority",
    "type",
    "vnetSubnetID",
)
POOL_CHANGE_REFUSED = (
    "PropertyChangeNotAllowed: Changing property 'properties.{path}' is not allowed (from {old} to {new})."
)
# A number of nodes, or a share of a pool's nodes.
_NODE_SHARE = re.compile(r"\d+|(100|\d{1,2})%")
# Source: https://learn.microsoft.com/azure/aks/upgrade-aks-node-pools-rolling
_UPGRADE_MINUTES = {"drainTimeoutInMinutes": (5, 24 * 60), "nodeSoakDurationInMinutes": (0, 30)}
# Minor versions that a pool may be behind the control plane.
# Source: https://learn.microsoft.com/rest/api/aks/agent-pools/create-or-update (orchestratorVersion)
_MAX_SKEW = 2


def list_pools(request: ResourceRequest) -> Iterator[Mapping[str, Any]]:
    """The pools of a request: all pools in a cluster's profiles, or the one that an agent pool resource declares."""
    if request.type.endswith(":AgentPool"):
        yield {**request.inputs, "name": request.get("agentPoolName")}
    else:
        yield from list_objects(request, "agentPoolProfiles")


# Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcontainerservice
def check_pool_names(request: ResourceRequest) -> str | None:
    for pool in list_pools(request):
        name = pool.get("name", UNKNOWN)
        if name is not UNKNOWN and not _POOL_NAME.fullmatch(str(name)):
            return (
                f"InvalidParameter: The value of parameter agentPoolProfile.name is invalid: '{name}'. It must start "
                "with a lower-case letter, contain only lower-case letters and digits, and have at most 12 characters."
            )
    return None


def check_pool_bounds(request: ResourceRequest) -> str | None:
    for pool in list_pools(request):
        low, high, count = (pool.get(key) for key in ("minCount", "maxCount", "count"))
        if pool.get("enableAutoScaling") is not True or UNKNOWN in (low, high, count):
            continue
        if low is None or high is None:
            return "InvalidParameter: Min count and max count must be set when autoscaling is enabled."
        # The autoscaler itself raises the count of an existing pool to a higher minimum.
        # Source: https://github.com/Azure/AKS/releases/tag/2021-07-22
        is_below = count is not None and count < low and _find_previous_pool(request, pool.get("name")) is None
        if low > high or is_below or (count is not None and count > high):
            return (
                f"InvalidParameter: agent pool {pool.get('name')}: count {count} must lie between min count {low} and "
                f"max count {high}."
            )
    return None


# Source: https://learn.microsoft.com/azure/aks/upgrade-aks-node-pools-rolling; the messages are not Azure's own, apart
# from that of spot pools: https://github.com/hashicorp/terraform-provider-azurerm/issues/19355
def check_upgrade_settings(request: ResourceRequest) -> str | None:
    for pool in list_pools(request):
        settings = pool.get("upgradeSettings")
        if isinstance(settings, Mapping) and (error := _find_upgrade_error(pool, settings)):
            return f"InvalidParameter: The value of parameter agentPoolProfile.upgrade.{error}"
    return None


def _find_upgrade_error(pool: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    surge, unavailable = (settings.get(name) for name in ("maxSurge", "maxUnavailable"))
    if pool.get("scaleSetPriority") == "Spot" and surge is not None:
        return "maxSurge is invalid. Error details: Spot pools can't set max surge."
    if pool.get("mode") == "System" and unavailable not in (None, "0", UNKNOWN):
        return f"maxUnavailable '{unavailable}' is invalid. Error details: System pools can't set max unavailable."
    for name, value in (("maxSurge", surge), ("maxUnavailable", unavailable)):
        if value not in (None, UNKNOWN) and not _NODE_SHARE.fullmatch(str(value)):
            return f"{name} '{value}' is invalid. Error details: it is a number of nodes, or a percentage up to 100%."
    if surge in ("0", "0%") and unavailable in (None, "0", "0%"):
        return f"maxSurge '{surge}' is invalid. Error details: without surge, max unavailable has to be set."
    for name, (low, high) in _UPGRADE_MINUTES.items():
        value = settings.get(name)
        if value not in (None, UNKNOWN) and not low <= value <= high:
            return f"{name} {value} is invalid. Error details: it is not in {low} to {high} minutes."
    return None


def get_pool_version(request: ResourceRequest, pool: Mapping[str, Any], cluster_version: Any) -> Any:
    """The Kubernetes version of a pool's nodes: as requested, or else as before, or else the cluster's (a new pool).

    An upgrade of only the cluster does not upgrade its pools.
    """
    if pool.get("orchestratorVersion"):
        return pool["orchestratorVersion"]
    previous = _find_previous_pool(request, pool.get("name"))
    return previous.get("currentOrchestratorVersion", cluster_version) if previous else cluster_version


def find_skew_error(pool_version: Any, cluster_version: Any) -> str | None:
    """AKS's error about a pool's version and its cluster's; None if they are compatible, or not known."""
    pool, cluster = parse_version(pool_version)[1:2], parse_version(cluster_version)[1:2]
    if not pool or not cluster or 0 <= cluster[0] - pool[0] <= _MAX_SKEW:
        return None
    reason = (
        f"is bigger than control plane version {cluster[0]}"
        if pool > cluster
        else f"is more than {_MAX_SKEW} versions less than control plane version {cluster[0]}"
    )
    return (
        f"NodePoolMcVersionIncompatible: Node pool version {pool_version} and control plane version {cluster_version} "
        f"are incompatible. Minor version of node pool {pool[0]} {reason}."
    )


def _find_previous_pool(request: ResourceRequest, name: Any) -> Mapping[str, Any] | None:
    """A pool as it was before this update, with its version; None for a new one."""
    previous = request.previous
    if previous is None:
        return None
    if request.type.endswith(":AgentPool"):
        return {**previous.inputs, **previous.outputs}
    known = previous.outputs.get("agentPoolProfiles") or previous.inputs.get("agentPoolProfiles")
    pools = known if isinstance(known, list) else []
    return next((pool for pool in pools if pool.get("name") == name), None)


def require_drainable_nodes(request: ResourceRequest, pool: str) -> str | None:
    """AKS's error if a pod on a pool's nodes cannot be evicted. Source of the message:
    https://github.com/cloudnative-pg/cloudnative-pg/issues/7346"""
    blocked = request.drain.find_blocked_eviction(pool)
    if blocked is None:
        return None
    return (
        f"UpgradeFailed: Drain node {blocked.node} failed when evicting pod {blocked.pod.partition('/')[2]} failed "
        "with Too Many Requests error. This is often caused by a restrictive Pod Disruption Budget (PDB) policy. See "
        f"http://aka.ms/aks/debugdrainfailures. Original error: {blocked.error} PDB debug info: {blocked.pod} blocked "
        f"by pdb {blocked.budget} ({blocked.detail})"
    )


def _require_drainable_pool(request: ResourceRequest) -> str | None:
    before = request.previous.outputs.get("currentOrchestratorVersion") if request.previous else None
    if before is None or before == _get_current_version(request):
        return None
    return require_drainable_nodes(request, str(request.get("agentPoolName")))


def _find_cluster(request: ResourceRequest) -> Resource | None:
    return find_in_group(request, CLUSTER_PATH)


def _get_current_version(request: ResourceRequest) -> Any:
    cluster = _find_cluster(request)
    return get_pool_version(request, request.inputs, cluster.inputs.get("kubernetesVersion") if cluster else None)


def _check_skew(request: ResourceRequest) -> str | None:
    cluster = _find_cluster(request)
    return find_skew_error(_get_current_version(request), cluster.inputs.get("kubernetesVersion") if cluster else None)


# Source: https://learn.microsoft.com/azure/aks/upgrade-node-pools
def _refuse_downgrade(request: ResourceRequest) -> str | None:
    change = get_change(request, "orchestratorVersion")
    if change is None or compare_versions(*change) >= 0:
        return None
    return f"OperationNotAllowed: Downgrading agent pool version from {change[0]} to {change[1]} is not allowed."


def _refuse_pool_change(path: str) -> Transition:
    return refuse_change(path, POOL_CHANGE_REFUSED.replace("{path}", path))


# Source: https://learn.microsoft.com/azure/aks/use-system-pools
def _scales_system_pool_to_zero(request: ResourceRequest) -> bool:
    return bool(request.get("mode") == "System" and request.get("minCount", 1) == 0)


MODELS = (
    arm_model(
        "compute:DiskEncryptionSet",
        "Microsoft.Compute/diskEncryptionSets/{diskEncryptionSetName}",
        located=True,
        identity=True,
        outputs={"provisioningState": "Succeeded"},
        transitions=(
            # Documented at https://learn.microsoft.com/azure/virtual-machines/disk-encryption#restrictions
            refuse_change(
                "encryptionType",
                "PropertyChangeNotAllowed: Changing property 'encryptionType' is not allowed (from {old} to {new}).",
            ),
        ),
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/compute/disk_encryption_set_resource.go
            require_any(["activeKey.keyUrl"], "InvalidParameter: The key is missing: set activeKey.keyUrl."),
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcompute
            matches(
                "diskEncryptionSetName",
                r"[\w-]{1,80}",
                "InvalidParameter: The name '{value}' of a disk encryption set is invalid.",
            ),
            # Source: https://learn.microsoft.com/rest/api/compute/disk-encryption-sets/create-or-update
            matches(
                "activeKey.keyUrl",
                r"https://[a-z0-9-]+\.vault\.azure\.net/keys/[^/]+/[0-9a-f]{32}",
                "InvalidParameter: The key URL '{value}' must include the key's version.",
            ),
        ),
    ),
    arm_model(
        "containerservice:AgentPool",
        CLUSTER_PATH + "/agentPools/{agentPoolName}",
        outputs={"currentOrchestratorVersion": _get_current_version, "provisioningState": "Succeeded"},
        # The provider replaces a pool only if one of these changes; Azure refuses changes of the others. Source:
        # https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=("gpuInstanceProfile", "networkProfile.nodePublicIPTags", "vmSize"),
        transitions=(*map(_refuse_pool_change, IMMUTABLE_POOL_PROPERTIES), _refuse_downgrade),
        rules=(
            check_pool_names,
            check_pool_bounds,
            check_upgrade_settings,
            one_of(
                "mode", ("System", "User", "Gateway"), "InvalidParameter: The agent pool mode '{value}' is not known."
            ),
            refuse_when(_scales_system_pool_to_zero, "InvalidParameter: A system pool cannot be scaled to 0 nodes."),
        ),
        state_rules=(_check_skew, _require_drainable_pool),
    ),
)
