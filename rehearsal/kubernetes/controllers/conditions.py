"""Conditions in the status of objects, as simulated controllers set them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeAlias

from rehearsal.kubernetes.client import ApiClient, Object

Failure: TypeAlias = tuple[str, str]
"""The reason and the message of a condition that is false."""


def build_condition(owner: Object, type_: str, failure: Failure | None, reason: str, message: str) -> dict[str, Any]:
    """A condition: true with this reason and message, unless there is a failure."""
    reason, message = failure or (reason, message)
    return {
        "type": type_,
        "status": "False" if failure else "True",
        "reason": reason,
        "message": message,
        "observedGeneration": owner["metadata"]["generation"],
    }


def write_status(api: ApiClient, found: Object, status: Mapping[str, Any]) -> None:
    """Write a status if it differs from the current one in more than its times. Raises ApiError."""
    current = found.get("status", {})
    if any(_without_times(current.get(field)) != _without_times(value) for field, value in status.items()):
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        api.patch(found, {"status": _with_times(status, now)}, "/status")


def _without_times(status: Any) -> Any:
    """A status without the times of its conditions."""
    if isinstance(status, Mapping):
        return {key: _without_times(value) for key, value in status.items() if key != "lastTransitionTime"}
    return [_without_times(item) for item in status] if isinstance(status, list) else status


def _with_times(status: Any, now: str) -> Any:
    """A status whose conditions have a transition time."""
    if isinstance(status, Mapping):
        time = {"lastTransitionTime": now} if {"type", "status", "reason"} <= status.keys() else {}
        return time | {key: _with_times(value, now) for key, value in status.items()}
    return [_with_times(item, now) for item in status] if isinstance(status, list) else status
