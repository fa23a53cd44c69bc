"""Rules about versions, which the clouds support until a given date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from kernel.support_calendars import SupportCalendar
from kernel.values import UNKNOWN
from rehearsal.simulator.core.resource_model import ResourceRequest, Rule
from rehearsal.simulator.core.transitions import compare_versions, parse_version

# Long enough to plan an upgrade, and longer than the notice that either cloud gives of an end of support.
_AHEAD = timedelta(days=60)


def refuse_unsupported(
    path: str, calendar: SupportCalendar, message: str, is_extended: Callable[[ResourceRequest], bool] = lambda _: False
) -> Rule:
    """The version at `path` is supported today.

    `{value}` in the message is the version. A version that is not in the calendar passes if the calendar has gaps, or
    if the version is newer than all versions in it, because it may have been released later.
    is_extended  whether the request selects extended support, whose length is in the calendar
    """

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        if value is UNKNOWN:
            return None
        if not parse_version(value) or not str(value).replace(".", "").isdigit():
            return message.format(value=value)
        end = find_end(calendar, value)
        if end is None:
            is_newer = compare_versions([*calendar.ends][-1], value) > 0
            return None if is_newer or calendar.has_gaps else message.format(value=value)
        if is_extended(request):
            end = date.max if calendar.extended is None else end + calendar.extended
        return message.format(value=value) if end < request.circumstances.today else None

    return rule


def note_support(path: str, calendar: SupportCalendar, product: str) -> Rule:
    """For notes: the version at `path` is in the calendar, and its standard support does not end soon."""

    def rule(request: ResourceRequest) -> str | None:
        version, today = request.get(path), request.circumstances.today
        if not isinstance(version, str):
            return None
        end = find_end(calendar, version)
        if end is None:
            return f"whether {calendar.service} offers {product} {version}"
        if end < today:
            return (
                f"what {product} {version} costs beyond its standard support, which ended on {end} ({calendar.source})"
            )
        if end <= today + _AHEAD:
            days = (end - today).days
            return f"the upgrade from {product} {version}: its standard support ends on {end}, in {days} days"
        return None

    return rule


def find_end(calendar: SupportCalendar, version: Any) -> date | None:
    """The last day of a version's standard support; None if the calendar does not have the version."""
    return next((end for known, end in calendar.ends.items() if compare_versions(known, version) == 0), None)
