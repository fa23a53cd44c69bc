"""Properties that are incomplete: the rest is elsewhere, such as in the object that a patch changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kernel.paths import parse_path
from kernel.values import UNKNOWN, is_list


class Unread(dict[str, Any]):
    """Properties of which only some are known: every other one is UNKNOWN."""

    def get(self, key: str, default: Any = None) -> Any:
        del default
        return super().get(key, UNKNOWN)


class Partial(dict[str, Any]):
    """Properties that omit others: those named in `elsewhere`, or all that are not set. Null counts as set."""

    def __init__(self, values: Mapping[str, Any], elsewhere: Collection[str] | None = None) -> None:
        super().__init__(values)
        self._elsewhere = elsewhere

    def get(self, key: str, default: Any = None) -> Any:
        return UNKNOWN if self.omits(key) else super().get(key, default)

    def omits(self, key: str) -> bool:
        """Whether the property is elsewhere."""
        return key not in self and (self._elsewhere is None or key in self._elsewhere)


def as_partial(value: Any) -> Any:
    """Properties as Partial on every level, so that everything that is not set is elsewhere."""
    if isinstance(value, Mapping):
        return Partial({key: as_partial(each) for key, each in value.items()})
    return [as_partial(each) for each in value] if is_list(value) else value


def keep_known(value: Any) -> Any:
    """Properties without unknown ones, and lists without unknown items."""
    if isinstance(value, Mapping):
        items = {key: keep_known(each) for key, each in value.items()}
        return {key: each for key, each in items.items() if each is not UNKNOWN}
    if is_list(value):
        known = [each for each in map(keep_known, value) if each is not UNKNOWN]
        return known if known or not value else UNKNOWN
    return value


def is_decided_elsewhere(props: Any, path: str) -> bool:
    """Whether the value at a path is not known because it is elsewhere."""
    value, parent = props, None
    for step in parse_path(path):
        if isinstance(value, Mapping):
            if str(step) not in value:
                return isinstance(value, Partial) and value.omits(str(step))
            value, parent = value[str(step)], value
        elif is_list(value) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            break
    return isinstance(parent, Partial) and value is not UNKNOWN
