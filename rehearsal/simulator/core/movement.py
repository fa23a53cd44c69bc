"""Actors: changes to existing resources between two deployments, by the cloud itself or by people.

An actor changes the stored resources as the cloud would, and a refresh detects it. A value that the program does not
declare changes in the outputs only, because the engine compares what was declared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from kernel.paths import Path, format_path, look_up, parse_path
from kernel.support_calendars import SupportCalendar
from rehearsal.simulator.core.resource_model import Resource, StateReader
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.transitions import compare_versions


@dataclass(frozen=True)
class Move:
    """A new value of one property of a resource."""

    resource: Resource
    path: str
    value: Any


Actor = Callable[[StateReader, date], Iterable[Move]]
"""Returns the moves of existing resources on a given day."""


def apply_moves(state: StateStore, moves: Iterable[Move]) -> list[str]:
    """Apply moves to existing resources; returns a line for each change."""
    lines = []
    for move in moves:
        current = state.get(move.resource.type, move.resource.id)
        if current is None:
            continue
        path = parse_path(move.path)
        old = look_up(current.outputs, path, look_up(current.inputs, path, "unset"))
        inputs = _set(current.inputs, path, move.value) if _is_declared(current.inputs, path) else current.inputs
        state.put(replace(current, inputs=inputs, outputs=_set(current.outputs, path, move.value)))
        name = current.urn.rpartition("::")[2]
        lines.append(f"{name} ({current.type.rpartition(':')[2]}): {move.path} from {old} to {move.value}")
    return lines


def each_item(record: Resource, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects in a list of a resource's outputs, or else its inputs, each with its path."""
    items = look_up(record.outputs, path, look_up(record.inputs, path, []))
    for index, item in enumerate(items if isinstance(items, list) else []):
        yield format_path((*parse_path(path), index)), item


def find_next_supported(calendar: SupportCalendar, version: str, day: date) -> str | None:
    """The oldest version above `version` that has standard support on a day; None if there is none."""
    supported = (each for each, end in calendar.ends.items() if end >= day and compare_versions(version, each) > 0)
    return next(supported, None)


def _is_declared(inputs: Mapping[str, Any], path: Path) -> bool:
    return look_up(inputs, path, None) is not None


def _set(values: Any, path: Path, value: Any) -> Any:
    """A copy with a new value at a path. Missing objects on the way are created; items of lists are not."""
    changed = copy.deepcopy(values) if isinstance(values, list) else dict(values or {})
    step, rest = path[0], path[1:]
    if isinstance(changed, list):
        if isinstance(step, int) and step < len(changed):
            changed[step] = _set(changed[step], rest, value) if rest else value
        return changed
    changed[str(step)] = _set(changed.get(str(step)) or {}, rest, value) if rest else value
    return changed
