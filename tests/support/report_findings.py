"""Event logs and findings of reports, reduced to what a test needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.base import Base
from reporting.changes import Kind, Preview, PropertyChange, ResourceChange
from reporting.findings import Findings
from reporting.policy_results import PolicyResults, Violation

GROUP = "azure-native:network:NetworkSecurityGroup"
POOL = "azure-native:containerservice:AgentPool"


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:azure-dev::groundwork::{type_}::{name}"


def event(
    op: str,
    type_: str,
    name: str,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    diff: Mapping[str, str] | None = None,
    *,
    custom: bool = True,
    protect: bool = False,
) -> dict[str, Any]:
    """The engine's log event of one resource; `diff` has the kinds of differences, keyed by path."""

    def state(inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return None if inputs is None else {"custom": custom, "inputs": inputs, "outputs": {}, "protect": protect}

    metadata = {
        "op": op,
        "urn": urn(type_, name),
        "type": type_,
        "old": state(old),
        "new": state(new),
        "detailedDiff": {path: {"diffKind": kind, "inputDiff": True} for path, kind in (diff or {}).items()},
    }
    return {"sequence": 1, "resourcePreEvent": {"metadata": metadata, "planning": True}}


def change(
    kind: Kind, type_: str, name: str, *properties: PropertyChange, is_protected: bool = False
) -> ResourceChange:
    return ResourceChange(urn(type_, name), type_, kind, properties, is_protected)


OPENED_GROUP = change(
    Kind.CHANGED,
    GROUP,
    "network-nodes",
    PropertyChange("securityRules", [], [{"access": "Allow", "sourceAddressPrefix": "Internet"}]),
)
RESIZED_POOL = change(
    Kind.REPLACED, POOL, "cluster-user", PropertyChange("vmSize", "Standard_D4s_v5", "Standard_D8s_v5", replaces=True)
)
OPEN_PORT = Violation(
    "azure-network-admin-ports", "network-nodes", "[high] azure-network-admin-ports: port 22. Remedy: close it", True
)


def findings(
    changes: Sequence[ResourceChange] = (OPENED_GROUP, RESIZED_POOL),
    violations: Sequence[Violation] = (),
    **others: Any,
) -> Findings:
    """The findings of a change against `main`, overridden by `others`."""
    content: dict[str, Any] = {"base": Base("main", "b" * 40), **others}
    policies = PolicyResults(204, 8, tuple(violations))
    return Findings("azure-dev", "a" * 40, Preview(tuple(changes), 407), policies, **content)


def cost(**others: Any) -> dict[str, Any]:
    """An estimate in the format of `make cost FORMAT=json`."""
    row = {"urn": RESIZED_POOL.urn, "name": "cluster-user", "group": "cluster", "beforeUsd": 302.0, "afterUsd": 604.0}
    return {
        "stack": "azure-dev",
        "currency": "USD",
        "pricesChecked": "2026-11-28",
        "totalUsd": 1014.5,
        "isComplete": True,
        "groups": [{"group": "cluster", "usd": 904.0}, {"group": "network", "usd": 110.5}],
        "missing": [],
        "unknown": [],
        "budget": None,
        "difference": {"against": "main", "totalUsd": 302.0, "rows": [row]},
        **others,
    }


def duration(count: int = 3) -> dict[str, Any]:
    """A schedule in the format of `make duration FORMAT=json`: sequential steps of a minute, and one parallel step."""
    path = [
        {"urn": urn(POOL, f"step-{n}"), "type": POOL, "name": f"step-{n}", "startSeconds": 60 * n,
         "endSeconds": 60 * n + 60, "isCritical": True}
        for n in range(count)
    ]  # fmt: skip
    beside = {**path[0], "name": "beside", "isCritical": False, "endSeconds": 30}
    whole = 60 * count
    return {
        "stack": "azure-dev",
        "criticalPathSeconds": whole,
        "makespanSeconds": whole,
        "serialSeconds": whole + 30,
        "path": path,
        "steps": [*path, beside],
        "unknown": [],
    }
