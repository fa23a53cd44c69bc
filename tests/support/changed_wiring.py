"""A declared stack with changes in its clouds or its cluster. Proves nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from kernel.paths import parse_path
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.wiring.graph import Wiring
from tests.support.declared_stack import DeclaredStack
from tests.support.objects_in_memory import FakeApiClient

Change = Callable[[Any], Any]
"""Maps a record of the clouds' state, or an object of the cluster, to a changed one; None if it is removed."""


def without(kind: str, name: str = "") -> Change:
    """Remove everything of a kind (a type's last part, or an object's kind), or only the one with `name`."""
    return lambda found: None if _is_meant(found, kind, name) else found


def changed(kind: str, path: str, value: Any, name: str = "") -> Change:
    """Set another value at a path of an input or an object; None removes it."""
    return _edited(kind, name, lambda content: _set(content, path, value))


def replaced(kind: str, old: str, new: str, name: str = "") -> Change:
    """Replace a text everywhere in a resource's inputs or in an object."""
    return _edited(kind, name, lambda content: _replace(content, old, new))


def _edited(kind: str, name: str, edit: Callable[[Any], Any]) -> Change:
    def change(found: Any) -> Any:
        if not _is_meant(found, kind, name):
            return found
        if isinstance(found, ResourceRecord):
            return replace(found, inputs=edit(found.inputs))
        return edit(found)

    return change


def change_wiring(stack: DeclaredStack, *changes: Change) -> Wiring:
    """The wiring of a stack after changes, each of which must have an effect."""
    state, objects = StateStore(":memory:"), []
    left = {*changes}
    for record in stack.recorder.state.all():
        if (kept := _apply(record, changes, left)) is not None:
            state.put(kept)
    for found in stack.cluster.api._objects:  # type: ignore[attr-defined]
        if (kept := _apply(found, changes, left)) is not None:
            objects.append(kept)
    assert not left, "a change has no effect"
    return Wiring(state, Snapshot(FakeApiClient(*objects)))


def _apply(found: Any, changes: Iterable[Change], left: set[Change]) -> Any:
    current = found
    for change in changes:
        result = change(current) if current is not None else None
        if result != current:
            left.discard(change)
        current = result
    return current


def _is_meant(found: Any, kind: str, name: str) -> bool:
    if isinstance(found, ResourceRecord):
        return found.type.endswith(f":{kind}") and name in ("", found.urn.rsplit("::", 1)[-1])
    return bool(found["kind"] == kind and name in ("", found["metadata"]["name"]))


def _set(values: Any, path: str, value: Any) -> Any:
    changed_values = copy.deepcopy(dict(values))
    *sections, last = parse_path(path)
    target: Any = changed_values
    for section in sections:
        target = target[section]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return changed_values


def _replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value
