"""What a preview would change, read from the engine's event log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kernel.engine_events import OPERATIONS
from kernel.paths import Path, format_path, look_up, parse_path
from kernel.values import ABSENT
from rehearsal.console import UserError
from rehearsal.toolchain import GO_MODULES

HIDDEN = "[secret]"
"""The engine's placeholder for a secret in its log."""

# The engine's placeholders for values that a preview does not know, one for each type.
# Source: https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/go/common/resource/plugin/rpc.go
_UNKNOWN_VALUES = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_TEXT = "known after deployment"


class Kind(StrEnum):
    """What happens to a resource."""

    REPLACED = "replaced"
    DELETED = "deleted"
    CHANGED = "changed"
    ADDED = "added"


# A replacement is logged as three operations; `replace` is the one that has both states.
_KINDS = {
    "create": Kind.ADDED,
    "update": Kind.CHANGED,
    "delete": Kind.DELETED,
    "replace": Kind.REPLACED,
    "import": Kind.ADDED,
    "import-replacement": Kind.REPLACED,
}
_SAME = "same"


@dataclass(frozen=True)
class PropertyChange:
    """One property that differs. A value is ABSENT if it is not set, or `HIDDEN` or `UNKNOWN_TEXT` if it is not shown.

    replaces  whether the change cannot be made in place
    """

    path: str
    before: Any
    after: Any
    replaces: bool = False


@dataclass(frozen=True)
class ResourceChange:
    """What happens to one resource.

    is_protected  whether the engine refuses to delete it
    """

    urn: str
    type: str
    kind: Kind
    properties: tuple[PropertyChange, ...] = ()
    is_protected: bool = False

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


@dataclass(frozen=True)
class Preview:
    """
    changes    of resources in the clouds and the cluster; components and providers are left out
    unchanged  number of resources that stay as they are
    """

    changes: tuple[ResourceChange, ...]
    unchanged: int


def read_preview(events: Iterable[Mapping[str, Any]]) -> Preview:
    """Read a preview's event log. Raises UserError if it is not a log of the engine version that this project runs."""
    changes, unchanged = [], 0
    for event in events:
        if "resourcePreEvent" not in event:
            continue
        metadata = _read_metadata(event["resourcePreEvent"])
        if not _is_counted(metadata):
            continue
        if metadata["op"] == _SAME:
            unchanged += 1
        elif metadata["op"] in _KINDS:
            changes.append(_read_change(metadata))
    order = list(Kind)
    changes.sort(key=lambda change: (order.index(change.kind), change.type, change.name))
    return Preview(tuple(changes), unchanged)


def _read_metadata(event: Any) -> Mapping[str, Any]:
    metadata = event.get("metadata") if isinstance(event, Mapping) else None
    expected = ("op", "urn", "type")
    if not isinstance(metadata, Mapping) or not all(isinstance(metadata.get(key), str) for key in expected):
        raise _other_version("a resource without operation, URN or type")
    if metadata["op"] not in OPERATIONS:
        raise _other_version(f"the operation '{metadata['op']}'")
    return metadata


def _other_version(found: str) -> UserError:
    return UserError(
        f"The preview's event log has {found}, so it is from a version of Pulumi that this project cannot read. "
        f"Use the engine that {GO_MODULES.name}/pulumi/go.mod pins: remove other ones from PATH, and `make` builds it."
    )


def _is_counted(metadata: Mapping[str, Any]) -> bool:
    state = metadata.get("new") or metadata.get("old") or {}
    return bool(state.get("custom")) and not metadata["type"].startswith("pulumi:")


def _read_change(metadata: Mapping[str, Any]) -> ResourceChange:
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    details = metadata.get("detailedDiff") or {}
    changes = [each for path, detail in sorted(details.items()) for each in _read_property(path, detail, old, new)]
    return ResourceChange(
        metadata["urn"], metadata["type"], _KINDS[metadata["op"]], tuple(changes), bool(old.get("protect"))
    )


def _read_property(path: str, detail: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PropertyChange]:
    kind = str(detail.get("diffKind", "")) if isinstance(detail, Mapping) else ""
    is_replacing = kind.endswith("-replace")
    try:
        steps = parse_path(path)
    except ValueError:
        yield PropertyChange(path, ABSENT, ABSENT, is_replacing)
        return
    for found, before, after in _narrow(steps, _find(old, steps), _find(new, steps)):
        yield PropertyChange(format_path(found), before, after, is_replacing)


def _narrow(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, Any, Any]]:
    """The innermost values that differ: providers name the whole list even if only one field of one item differs.

    Lists are compared item by item only if they have the same length or one extends the other; otherwise items moved.
    """
    steps: Iterable[str | int] = ()
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        steps = sorted({*before, *after})
    elif isinstance(before, list) and isinstance(after, list):
        common = min(len(before), len(after))
        is_aligned = len(before) == len(after) or before[:common] == after[:common]
        steps = range(max(len(before), len(after))) if is_aligned else ()
    different = [
        (step, one, other) for step in steps if (one := look_up(before, (step,))) != (other := look_up(after, (step,)))
    ]
    if not different:
        yield path, before, after
    for step, one, other in different:
        yield from _narrow((*path, step), one, other)


def _find(state: Mapping[str, Any], path: Path) -> Any:
    """The value of an input, or of an output if there is no such input."""
    value = look_up(state.get("inputs") or {}, path)
    return _replace_markers(look_up(state.get("outputs") or {}, path) if value is ABSENT else value)


def _replace_markers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _replace_markers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_markers(item) for item in value]
    return UNKNOWN_TEXT if isinstance(value, str) and value in _UNKNOWN_VALUES else value
