"""Cost and duration in a report: which are present, and what the report says if they are not.

The estimates themselves are replaced here; tests/unit/estimates tests them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import estimates
from rehearsal.console import UserError
from rehearsal.estimation import StackEstimate
from reporting import estimation
from tests.support.report_findings import POOL, event, urn

DEPLOYED = [{"urn": urn(POOL, "pool"), "type": POOL, "dependencies": [urn("a:b:C", "network")]}]
EVENTS = [event("same", POOL, "pool", {}, {}), event("create", POOL, "another", None, {})]
for each in EVENTS:
    metadata = each["resourcePreEvent"]["metadata"]
    metadata["new"] |= {"urn": metadata["urn"], "type": metadata["type"]}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[estimates.Resource]]:
    """The resources of each estimate."""
    calls: list[Sequence[estimates.Resource]] = []

    def estimate_resources(_: Any, resources: Sequence[estimates.Resource]) -> StackEstimate:
        calls.append(resources)
        cost = estimates.Estimate("westeurope", (), (), (), (), datetime.date(2026, 11, 28))
        schedule = estimates.critical_path(resources, estimates.load_durations())
        return StackEstimate(cost.to_json(), cost, schedule, "stacks/Pulumi.azure-dev.yaml")

    monkeypatch.setattr(estimation, "estimate_resources", estimate_resources)
    return calls


def estimate(plan: Path, deployed: Sequence[dict[str, Any]], cost: str = "settings") -> estimation.Estimated:
    rehearsal: Any = SimpleNamespace(stack="azure-dev", project=SimpleNamespace(cost=cost))
    return estimation.estimate(rehearsal, EVENTS, plan, deployed, "main")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    goals: dict[str, Any] = {urn(POOL, "pool"): {"goal": {"dependencies": []}}}
    path.write_text(json.dumps({"resourcePlans": goals}))
    return path


@pytest.mark.usefixtures("seen")
def test_a_change_has_its_own_difference_and_duration(plan: Path) -> None:
    found = estimate(plan, DEPLOYED)
    assert found.cost is not None
    assert found.cost["difference"]["against"] == "main"
    assert found.duration is not None
    assert len(found.duration["steps"]) == 2
    assert found.change_duration is not None
    assert [step["name"] for step in found.change_duration["steps"]] == ["another"]
    assert found.problem == ""


@pytest.mark.usefixtures("seen")
def test_a_new_stack_has_no_difference(plan: Path) -> None:
    found = estimate(plan, [])
    assert found.cost is not None
    assert "difference" not in found.cost
    assert found.change_duration is None


def test_without_a_plan_the_dependencies_of_deployed_resources_are_used(
    tmp_path: Path, seen: list[Sequence[estimates.Resource]]
) -> None:
    found = estimate(tmp_path / "none", DEPLOYED)
    assert "use the dependencies of the base" in found.problem
    [pool] = [each for each in seen[0] if each.name == "pool"]
    assert urn("a:b:C", "network") in pool.dependencies
    found = estimate(tmp_path / "none", [])
    assert found.duration is None
    assert "the preview failed" in found.problem


def test_a_failed_estimate_is_reported(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> StackEstimate:
        raise UserError("the number of requests is not set")

    monkeypatch.setattr(estimation, "estimate_resources", fail)
    assert estimate(plan, DEPLOYED).problem == (
        "Cost and duration were not estimated: the number of requests is not set"
    )


def test_a_project_without_settings_of_cost_has_no_estimates(plan: Path) -> None:
    assert estimate(plan, DEPLOYED, cost="") == estimation.Estimated()
