"""Properties of which some are elsewhere: what a patch leaves to the object that it changes, or a template to a pod."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kernel.paths import parse_path
from kernel.values import UNKNOWN, is_list


class Unread(dict[str, Any]):
    """Properties that are set, of which those that are not here are not known."""

    def get(self, key: str, default: Any = None) -> Any:
        del default
        return super().get(key, UNKNOWN)


class Partial(dict[str, Any]):
    """Properties of which others are elsewhere: those named `elsewhere`, or all that are not set. Null is set."""

    def __init__(self, values: Mapping[str, Any], elsewhere: Collection[str] | None = None) -> None:
        super().__init__(values)
        self._elsewhere = elsewhere

    def get(self, key: str, default: Any = None) -> Any:
        return UNKNOWN if self.leaves_out(key) else super().get(key, default)

    def leaves_out(self, key: str) -> bool:
        """Whether the property is elsewhere."""
        return key not in self and (self._elsewhere is None or key in self._elsewhere)


def as_partial(value: Any) -> Any:
    """Properties in which everything that is not set, on any level, is elsewhere."""
    if isinstance(value, Mapping):
        return Partial({key: as_partial(each) for key, each in value.items()})
    return [as_partial(each) for each in value] if is_list(value) else value


def keep_known(value: Any) -> Any:
    """Properties without those that are not known, and without the items of lists that are not."""
    if isinstance(value, Mapping):
        kept = {key: keep_known(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each is not UNKNOWN}
    if is_list(value):
        known = [each for each in map(keep_known, value) if each is not UNKNOWN]
        return known if known or not value else UNKNOWN
    return value


def is_decided_elsewhere(props: Any, path: str) -> bool:
    """Whether what is not known at a path is so because it is elsewhere."""
    value, parent = props, None
    for step in parse_path(path):
        if isinstance(value, Mapping):
            if str(step) not in value:
                return isinstance(value, Partial) and value.leaves_out(str(step))
            value, parent = value[str(step)], value
        elif is_list(value) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            break
    return isinstance(parent, Partial) and value is not UNKNOWN
