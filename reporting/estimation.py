"""Estimates cost and duration of a stack from a preview, and how a change affects both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import estimates
from rehearsal.console import UserError
from rehearsal.estimation import StackEstimate, estimate_resources
from rehearsal.session import Rehearsal

_CREATIONS = frozenset({"create", "create-replacement", "replace"})


@dataclass(frozen=True)
class Estimated:
    """
    cost             as in `make cost FORMAT=json`; None if it cannot be estimated
    duration         as in `make duration FORMAT=json`; None if it cannot be estimated
    change_duration  the duration of what a change creates; None if it creates nothing, or there is no base
    problem          why something is None or less certain, in a sentence; empty if nothing is
    """

    cost: Mapping[str, Any] | None = None
    duration: Mapping[str, Any] | None = None
    change_duration: Mapping[str, Any] | None = None
    problem: str = ""


def estimate(
    rehearsal: Rehearsal,
    events: Sequence[Mapping[str, Any]],
    plan: Path,
    deployed: Sequence[Mapping[str, Any]],
    reference: str,
) -> Estimated:
    """Estimate what a preview declares, and the difference from the deployed resources.

    events     the engine's log of the preview, with all resources
    plan       the plan that it wrote with `--save-plan`, with the dependencies; a failed preview writes none, and then
               the dependencies of the deployed resources are used
    deployed   the deployed resources that it was compared with; empty if there are none
    reference  the name of the base, for people
    """
    if not rehearsal.project.cost:
        return Estimated()
    dependencies = json.loads(plan.read_text()) if plan.exists() else _read_dependencies(deployed)
    resources = estimates.read_preview(events, dependencies)
    try:
        after = estimate_resources(rehearsal, resources)
        before = estimate_resources(rehearsal, estimates.read_state(deployed)) if deployed else None
    except UserError as error:
        return Estimated(problem=f"Cost and duration were not estimated: {error}")
    cost = _compare(after, before, reference)
    duration = {"stack": rehearsal.stack, **after.schedule.to_json()}
    if plan.exists():
        return Estimated(cost, duration, _estimate_change(resources, events) if before else None)
    if before is None:
        return Estimated(cost, problem="The duration was not estimated: the preview failed before its end.")
    problem = "The preview failed before its end: durations use the dependencies of the base."
    return Estimated(cost, duration, _estimate_change(resources, events), problem)


def _read_dependencies(deployed: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The dependencies of the deployed resources, in the form of a plan."""
    plans = {each["urn"]: {"goal": {"dependencies": each.get("dependencies") or []}} for each in deployed}
    return {"resourcePlans": plans}


def _compare(after: StackEstimate, before: StackEstimate | None, reference: str) -> Mapping[str, Any]:
    if before is None:
        return after.document
    return estimates.add_difference(after.document, estimates.compare(before.cost, after.cost), reference)


def _estimate_change(
    resources: Sequence[estimates.Resource], events: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The critical path of what is created. Updates are left out: nobody publishes how long they take."""
    changes = (event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event)
    created = {change["urn"] for change in changes if change["op"] in _CREATIONS}
    new = [each for each in resources if each.urn in created]
    return estimates.critical_path(new, estimates.load_durations()).to_json() if new else None
