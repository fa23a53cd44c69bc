"""Estimates how long the resources that a preview would create take to create."""

from __future__ import annotations

import json
from pathlib import Path

from estimates import critical_path, describe_schedule, load_durations, read_preview
from kernel.engine_events import read_events

_CREATIONS = frozenset({"create", "create-replacement", "replace"})


def describe_creation(log: Path, plan: Path) -> str:
    """The critical path of the resources that a preview would create, in one line; empty if it would create none.

    log   the engine's events of the preview
    plan  the file written with `--save-plan`, which has the dependencies
    """
    if not plan.exists():
        return ""
    events = list(read_events(log))
    changes = (event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event)
    created = {change["urn"] for change in changes if change["op"] in _CREATIONS}
    resources = [each for each in read_preview(events, json.loads(plan.read_text())) if each.urn in created]
    if not resources:
        return ""
    schedule = critical_path(resources, load_durations())
    return f"Creating these resources takes {describe_schedule(schedule)}. `make duration` shows the critical path."
