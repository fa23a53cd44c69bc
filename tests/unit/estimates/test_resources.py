"""Resources, read from the engine's state and from a preview.

The formats are the engine's own, recorded from a preview of azure-dev and shortened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estimates import read_preview, read_state
from estimates.resources import find_region

STACK = "urn:pulumi:azure-dev::groundwork::"
COMPONENT = f"{STACK}groundwork:azure:Cluster::cluster"
POOL = f"{STACK}groundwork:azure:Cluster$azure-native:containerservice:AgentPool::cluster-user"
CLUSTER = f"{STACK}groundwork:azure:Cluster$azure-native:containerservice:ManagedCluster::cluster"
PROVIDER = f"{STACK}pulumi:providers:azure-native::azure"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def state(urn: str, type_: str, **more: Any) -> dict[str, Any]:
    common = {"urn": urn, "type": type_, "custom": True, "id": "", "parent": COMPONENT, "outputs": {}}
    return {**common, "provider": f"{PROVIDER}::{UNKNOWN}", "inputs": {}, **more}


def event(urn: str, type_: str, op: str = "create", **more: Any) -> Mapping[str, Any]:
    new = None if op.startswith("delete") else state(urn, type_, **more)
    return {
        "sequence": 727,
        "timestamp": 1796005318,
        "resourcePreEvent": {
            "metadata": {
                "op": op,
                "urn": urn,
                "type": type_,
                "old": state(urn, type_) if not new else None,
                "new": new,
            },
            "planning": True,
        },
    }


POOL_TYPE = "azure-native:containerservice:AgentPool"


def test_a_preview_has_inputs_in_its_log_and_dependencies_in_its_plan() -> None:
    inputs = {"vmSize": "Standard_D4s_v5", "minCount": 2, "resourceName": UNKNOWN}
    plan = {"resourcePlans": {POOL: {"goal": {"type": POOL_TYPE, "dependencies": [CLUSTER]}, "steps": ["create"]}}}
    (pool,) = read_preview([{"preludeEvent": {}}, event(POOL, POOL_TYPE, inputs=inputs)], plan)
    assert (pool.name, pool.type, pool.parent) == ("cluster-user", POOL_TYPE, COMPONENT)
    assert pool.dependencies == (CLUSTER, COMPONENT, PROVIDER)
    assert (pool.get("minCount"), pool.get("resourceName"), pool.get("absent", 7)) == (2, None, 7)


def test_resources_that_a_preview_would_delete_are_left_out() -> None:
    log = [event(POOL, POOL_TYPE, "same"), event(CLUSTER, "x", "delete"), event(PROVIDER, "y", "delete-replaced")]
    assert [each.urn for each in read_preview(log)] == [POOL]


def test_the_last_event_of_a_resource_counts() -> None:
    log = [event(POOL, POOL_TYPE, inputs={"minCount": 2}), event(POOL, POOL_TYPE, inputs={"minCount": 5})]
    assert [each.get("minCount") for each in read_preview(log)] == [5]


def test_the_state_has_inputs_and_dependencies_without_resources_pending_deletion() -> None:
    resources = read_state(
        [
            state(POOL, POOL_TYPE, inputs={"minCount": 3}, dependencies=[CLUSTER]),
            state(f"{POOL}-old", POOL_TYPE, delete=True),
            {"urn": PROVIDER, "type": "pulumi:providers:azure-native", "inputs": {"location": "westeurope"}},
        ]
    )
    assert [each.name for each in resources] == ["cluster-user", "azure"]
    assert resources[0].dependencies == (CLUSTER, COMPONENT, PROVIDER)
    assert find_region(resources) == "westeurope"


def test_without_a_provider_of_a_cloud_there_is_no_region() -> None:
    assert find_region(read_state([state(POOL, POOL_TYPE)])) == ""
