"""Harm that a plan would do after a move of the cloud: replace, delete, shrink, or return to an earlier version."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernel.paths import look_up
from rehearsal.simulator.core.transitions import compare_versions, parse_version

_HARMLESS = frozenset({"same", "read", "refresh", "create", "update"})


@dataclass(frozen=True)
class PlannedStep:
    """What a preview plans for one resource.

    operation  the engine's name for it: `update`, `replace`, `delete`
    changed    paths of the inputs that change
    """

    operation: str
    type: str
    name: str
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)
    changed: Collection[str] = ()

    @property
    def label(self) -> str:
        return f"{self.name} ({self.type.rpartition(':')[2]})"


def read_steps(events: Iterator[Mapping[str, Any]]) -> list[PlannedStep]:
    """The steps of a preview, from the engine's events."""
    steps = []
    for event in events:
        metadata = event.get("resourcePreEvent", {}).get("metadata")
        if metadata and metadata["op"] not in ("same", "read"):
            old, new = ((metadata.get(side) or {}).get("inputs") or {} for side in ("old", "new"))
            changed = [*(metadata.get("detailedDiff") or {}), *(metadata.get("diffs") or ())]
            name = metadata["urn"].rpartition("::")[2]
            steps.append(PlannedStep(metadata["op"], metadata["type"], name, old, new, tuple(dict.fromkeys(changed))))
    return steps


def find_harm(step: PlannedStep) -> Iterator[str]:
    """The harm that a step would do, one line each."""
    if step.operation not in _HARMLESS:
        yield f"{step.label}: the next deployment would {step.operation.replace('-', ' ')} it"
        return
    for path in step.changed:
        old, new = look_up(step.old, path, None), look_up(step.new, path, None)
        yield from (f"{step.label}: {problem}" for problem in _compare(path, old, new))


def _compare(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _compare(f"{path}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _compare(f"{path}[{index}]", *pair)
    elif _is_number(old) and _is_number(new) and new < old:
        yield f"{path} would shrink from {old} to {new}"
    elif "version" in path.lower() and parse_version(old) and compare_versions(old, new) < 0:
        yield f"{path} would go back from {old} to {new}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
