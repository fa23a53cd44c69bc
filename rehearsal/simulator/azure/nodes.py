"""AKS agent pools, and the encryption of their disks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, list_objects
from rehearsal.simulator.core.resource_model import ResourceRequest
from rehearsal.simulator.core.rules import matches, one_of, refuse_when, require_any

CLUSTER_PATH = "Microsoft.ContainerService/managedClusters/{resourceName}"
_POOL_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")


# Properties of an agent pool that cannot change after its creation.
IMMUTABLE_POOL_PROPERTIES = (
    "vmSize",
    "osType",
    "vnetSubnetID",
    "availabilityZones",
    "maxPods",
    "enableEncryptionAtHost",
    "type",
)


def list_pools(request: ResourceRequest) -> Iterator[Mapping[str, Any]]:
    """The pools of a request: those in a cluster's profile, or the single one of an agent pool resource."""
    if request.type.endswith(":AgentPool"):
        yield {**request.inputs, "name": request.get("agentPoolName")}
    else:
        yield from list_objects(request, "agentPoolProfiles")


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
        if low > high or not low <= (low if count is None else count) <= high:
            return (
                f"InvalidParameter: agent pool {pool.get('name')}: count {count} must lie between min count {low} and "
                f"max count {high}."
            )
    return None


def _scales_system_pool_to_zero(request: ResourceRequest) -> bool:
    return bool(request.get("mode") == "System" and request.get("minCount", 1) == 0)


MODELS = (
    arm_model(
        "compute:DiskEncryptionSet",
        "Microsoft.Compute/diskEncryptionSets/{diskEncryptionSetName}",
        located=True,
        identity=True,
        outputs={"provisioningState": "Succeeded"},
        rules=(
            require_any(["activeKey.keyUrl"], "InvalidParameter: The key is missing: set activeKey.keyUrl."),
            matches(
                "diskEncryptionSetName",
                r"[\w-]{1,80}",
                "InvalidParameter: The name '{value}' of a disk encryption set is invalid.",
            ),
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
        outputs={"provisioningState": "Succeeded"},
        replace_on_changes=IMMUTABLE_POOL_PROPERTIES,
        rules=(
            check_pool_names,
            check_pool_bounds,
            one_of("mode", ("System", "User"), "InvalidParameter: The agent pool mode '{value}' is not known."),
            refuse_when(_scales_system_pool_to_zero, "InvalidParameter: A system pool cannot be scaled to 0 nodes."),
        ),
    ),
)
