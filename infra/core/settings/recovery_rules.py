"""Rules for where a stack is restored, and from what."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.settings.clouds import Cloud
from infra.core.settings.faults import Fault
from infra.core.settings.limits import AZURE_PAIRS, LOCATIONS
from infra.core.settings.stack_settings import Settings


def check_second_location(settings: Settings) -> Iterator[Fault]:
    second, location = settings.resilience.second_location, settings.location
    if not second or location not in LOCATIONS[settings.cloud]:
        return
    if settings.cloud is Cloud.AZURE:
        pair = AZURE_PAIRS.get(location)
        if second != pair:
            yield Fault(
                "resilience.secondLocation",
                f"is not the region that Azure pairs with {location}"
                + ("" if pair else ", which has no pair: Azure keeps no copies of it elsewhere"),
                f"use {pair}" if pair else "remove it, and set resilience.backupStore",
                value=second,
                others=("location",),
            )
    elif second == location or second not in LOCATIONS[Cloud.AWS]:
        example = next(each for each in ("eu-central-1", "eu-west-1") if each != location)
        yield Fault(
            "resilience.secondLocation",
            "is the stack's own region" if second == location else "is not a region that stacks can be in",
            f"name another, such as {example}",
            value=second,
            others=("location",),
        )


def check_standby(settings: Settings, stack: str) -> Iterator[Fault]:
    resilience = settings.resilience
    if resilience.standby == stack:
        yield Fault(
            "resilience.standby",
            "is the stack itself, which is lost together with its region",
            "name a stack in another region, or remove it",
            value=resilience.standby,
        )
    elif resilience.standby and not resilience.backup_store:
        yield Fault(
            "resilience.standby",
            "has no meaning without resilience.backupStore, from which it would be restored",
            "set resilience.backupStore too, or remove it",
            value=resilience.standby,
            others=("resilience.backupStore",),
        )
