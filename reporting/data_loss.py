"""Warns if a change deletes or replaces something that holds data."""

from __future__ import annotations

from collections.abc import Iterable

from plan_guard import describe_loss
from reporting.changes import Kind, ResourceChange

_GONE = frozenset({Kind.DELETED, Kind.REPLACED})


def list_warnings(changes: Iterable[ResourceChange]) -> list[tuple[ResourceChange, str]]:
    """The changes that lose data, with what is lost, as a sentence without its subject."""
    found = ((change, _describe(change)) for change in changes if change.kind in _GONE)
    return [(change, text) for change, text in found if text]


def _describe(change: ResourceChange) -> str:
    is_replaced = change.kind is Kind.REPLACED
    causes = ", ".join(each.path for each in change.properties if each.replaces) if is_replaced else ""
    return describe_loss(change.type, change.kind.value, causes, is_protected=change.is_protected)
