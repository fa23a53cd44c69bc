"""Rules over what a stack is restored from, and where."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.settings.faults import Fault
from infra.core.settings.stack_settings import Settings


def check_standby(settings: Settings, stack: str) -> Iterator[Fault]:
    resilience = settings.resilience
    if resilience.standby == stack:
        yield Fault(
            "resilience.standby",
            "is the stack itself, which is away when its region is",
            "name a stack in another region, or remove it",
            value=resilience.standby,
        )
    elif resilience.standby and not resilience.backup_store:
        yield Fault(
            "resilience.standby",
            "has no meaning without resilience.backupStore, from which it would be filled",
            "set resilience.backupStore too, or remove it",
            value=resilience.standby,
            others=("resilience.backupStore",),
        )
