"""The quotas of a subscription on Azure, and the machine sizes that a region or a zone does not have in stock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kernel import service_quotas as quotas
from kernel.service_quotas import count_machine_vcpus, name_machine_family
from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.azure.arm import find_in_group, get_location
from rehearsal.simulator.azure.nodes import CLUSTER_PATH, list_pools
from rehearsal.simulator.core.quotas import Inputs, by, of_unprepared_account, stay_within
from rehearsal.simulator.core.resource_model import Resource, ResourceModel, ResourceRequest, Rule, StateReader

_POOL, _CLUSTER = "azure-native:containerservice:AgentPool", "azure-native:containerservice:ManagedCluster"


def _locate(inputs: Inputs, _state: StateReader) -> Any:
    return str(inputs.get("location", "")).replace(" ", "").lower()


def _count_cores(pools: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The vCPUs of pools, keyed by size."""
    cores: dict[str, int] = {}
    for pool in pools:
        size, count = pool.get("vmSize"), pool.get("count", pool.get("minCount", 0))
        if isinstance(size, str) and isinstance(count, int):
            cores[size] = cores.get(size, 0) + count * count_machine_vcpus(size)
    return cores


def _find_location(request: ResourceRequest) -> str:
    """The location of the request's nodes: a pool is in the location of its cluster."""
    if request.type == _CLUSTER:
        return get_location(request)
    cluster = find_in_group(request, CLUSTER_PATH)
    return str(cluster.outputs.get("location")) if cluster else ""


def _list_other_pools(request: ResourceRequest, location: str) -> Iterator[Mapping[str, Any]]:
    """The pools that exist in a location, apart from those of the request."""
    clusters = [each for each in request.state.all(_CLUSTER) if _locate(each.inputs, request.state) == location]
    for cluster in clusters:
        if cluster.id != request.id:
            yield from as_list(cluster.inputs.get("agentPoolProfiles"))
    for pool in request.state.all(_POOL):
        if pool.id != request.id and any(_is_part(pool, cluster) for cluster in clusters):
            yield pool.inputs


def _is_part(pool: Resource, cluster: Resource) -> bool:
    return pool.id.lower().startswith(f"{cluster.id.lower()}/")


def _limit_cores(request: ResourceRequest) -> str | None:
    """The vCPUs of all pools, per series and in total.

    Sources of the messages: https://github.com/1ChristianAlex/motordesk/issues/14 and
    https://github.com/Azure/Mission-Critical-Online/pull/251
    """
    location = _find_location(request)
    wanted, used = _count_cores(list_pools(request)), _count_cores(_list_other_pools(request, location))
    for size, cores in wanted.items():
        family = name_machine_family(size)
        others = sum(count for other, count in used.items() if name_machine_family(other) == family)
        if cores and others + cores > quotas.FAMILY_CORES.limit:
            return (
                f"ErrCode_InsufficientVCPUQuota: Insufficient vcpu quota requested {cores}, remaining "
                f"{max(0, quotas.FAMILY_CORES.limit - others)} for family {family} for region {location}."
            )
    required, usage, limit_ = sum(wanted.values()), sum(used.values()), quotas.REGIONAL_CORES.limit
    if not required or required + usage <= limit_:
        return None
    return (
        "QuotaExceeded: Operation could not be completed as it results in exceeding approved Total Regional Cores "
        f"quota. Additional details - Deployment Model: Resource Manager, Location: {location}, Current Limit: "
        f"{limit_}, Current Usage: {usage}, Additional Required: {required}, (Minimum) New Limit Required: "
        f"{usage + required}."
    )


def _require_machines(request: ResourceRequest) -> str | None:
    """New pools need machines in each of their zones.

    Source: https://github.com/Azure/AKS/issues/1444
    """
    if request.previous is not None:
        return None
    location = _find_location(request)
    for pool in list_pools(request):
        size, zones = (
            str(pool.get("vmSize")),
            [zone for zone in as_list(pool.get("availabilityZones")) if zone is not UNKNOWN],
        )
        lacking = [
            zone for zone in zones or [""] if request.circumstances.is_sold_out(size, location, f"{location}-{zone}")
        ]
        if lacking and pool.get("count", pool.get("minCount", 1)) != 0:
            return (
                f"SkuNotAvailable: The requested size for resource 'aks-{pool.get('name')}-vmss' is currently not "
                f"available in location '{location}' zones '{','.join(zones)}' for subscription "
                f"'{request.account['subscriptionId']}'. Please try another size or deploy to a different location or "
                f"zones. See https://aka.ms/azureskunotavailable for details. (the simulation knows the cause: {size} "
                f"is sold out in the zones {', '.join(lacking)})"
            )
    return None


# The messages below are not Azure's own.
RULES: Mapping[str, Sequence[Rule]] = {
    _CLUSTER: [of_unprepared_account(_limit_cores), _require_machines],
    _POOL: [
        stay_within(
            quotas.AGENT_POOLS,
            "QuotaExceeded: The cluster has reached the limit of {limit} agent pools.",
            counted_in=by("resourceGroupName", "resourceName"),
        ),
        of_unprepared_account(_limit_cores),
        _require_machines,
    ],
    "azure-native:managedidentity:FederatedIdentityCredential": [
        stay_within(
            quotas.FEDERATED_CREDENTIALS,
            "BadRequest: Too many Federated Identity Credentials: at most {limit} can be added to an identity.",
            counted_in=by("resourceGroupName", "resourceName"),
        )
    ],
    "azure-native:monitor:DiagnosticSetting": [
        stay_within(
            quotas.DIAGNOSTIC_SETTINGS,
            "BadRequest: The limit of {limit} diagnostic settings was reached.",
            counted_in=by("resourceUri"),
        )
    ],
    "azure-native:storage:StorageAccount": [
        stay_within(
            quotas.STORAGE_ACCOUNTS,
            "MaxStorageAccountsCountPerSubscriptionExceeded: The subscription already contains {used} storage accounts "
            "in the location and the maximum allowed is {limit}.",
            counted_in=_locate,
        )
    ],
    "azure-native:authorization:RoleAssignment": [
        stay_within(
            quotas.ROLE_ASSIGNMENTS,
            "RoleAssignmentLimitExceeded: The role assignment limit for the subscription has been met. No more role "
            "assignments can be created.",
        )
    ],
}


def limit(model: ResourceModel) -> ResourceModel:
    """A model with the rules for its quotas and for the machines that it needs in a region."""
    return replace(model, state_rules=(*model.state_rules, *RULES.get(model.type, ())))
