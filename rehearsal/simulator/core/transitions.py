"""Rules for updates that resource models of every cloud share: they compare the old values with the new ones.

Each takes the cloud's error message, with `{old}` and `{new}`. A creation passes, and so does an old or a new value
that a preview does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.core.resource_model import ResourceRequest, Transition
from rehearsal.simulator.core.values import has_unknown

_NUMBERS = re.compile(r"\d+")


def refuse_change(path: str, message: str, unset: Any = None) -> Transition:
    """The value at `path` does not change after the resource was created.

    None and empty values count as `unset`, the cloud's own default; if `unset` is None, they count as values.
    """
    return refuse_change_when(path, lambda old, new: unset is None or (old or unset) != (new or unset), message)


def refuse_change_when(path: str, condition: Callable[[Any, Any], bool], message: str) -> Transition:
    """The value at `path` does not change in a way that meets a condition of the old and the new value."""

    def transition(request: ResourceRequest) -> str | None:
        change = get_change(request, path)
        return message.format(old=change[0], new=change[1]) if change and condition(*change) else None

    return transition


def only_grows(path: str, message: str) -> Transition:
    """The number at `path` never gets smaller."""
    return refuse_change_when(path, lambda old, new: None not in (old, new) and new < old, message)


def stays(path: str, value: Any, message: str) -> Transition:
    """Once the value at `path` is `value`, it stays so."""
    return refuse_change_when(path, lambda old, _: bool(old == value), message)


def moves_along(path: str, order: Collection[Any], message: str) -> Transition:
    """The value at `path` moves forward in `order` by one step at a time; values that are not in it pass."""
    places = list(order)
    return refuse_change_when(
        path,
        lambda old, new: old in places and new in places and places.index(new) != places.index(old) + 1,
        message,
    )


def get_change(request: ResourceRequest, path: str) -> tuple[Any, Any] | None:
    """The old and the new value at `path`; None if it does not change, or is not known."""
    if request.previous is None:
        return None
    old, new = request.get_previous(path), request.get(path)
    return None if old == new or has_unknown(old) or has_unknown(new) else (old, new)


def parse_version(value: Any) -> tuple[int, ...]:
    """The numbers of a version: `1.33.2` and `v1.33.2` are (1, 33, 2). Empty for None and for an unknown version."""
    return () if value in (None, UNKNOWN) else tuple(int(number) for number in _NUMBERS.findall(str(value)))


def step_by_minor(path: str, downgrade: str, skip: str) -> Transition:
    """A Kubernetes version goes up by one minor version at a time, and never down.

    Source: https://kubernetes.io/releases/version-skew-policy/#supported-component-upgrade-order
    """

    def transition(request: ResourceRequest) -> str | None:
        change = get_change(request, path)
        if change is None or None in change:
            return None
        old, new = change
        if compare_versions(old, new) < 0:
            return downgrade.format(old=old, new=new)
        is_skipped = parse_version(new)[1] - parse_version(old)[1] > 1
        return skip.format(old=old, new=new) if is_skipped else None

    return transition


def compare_versions(old: Any, new: Any) -> int:
    """-1 if the new version is lower than the old one, 1 if it is higher; 0 if one is a prefix of the other."""
    pairs = zip(parse_version(old), parse_version(new), strict=False)  # zip ends at the shorter one
    return next(((1 if two > one else -1) for one, two in pairs if one != two), 0)
