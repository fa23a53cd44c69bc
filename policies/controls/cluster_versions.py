"""Kubernetes versions of the clouds' managed clusters. Both clouds support a version for about a year."""

import re
from typing import Any

from kernel.reviewed_entries import find_today
from kernel.support_calendars import SupportCalendar
from policies.engine.expectations import Requirement, expect
from policies.engine.findings import Findings, Props


def expect_supported(props: Props, path: str, calendar: SupportCalendar) -> Findings:
    """Require a version at `path` that is in standard support today. If none is set, the cloud chooses one that is."""
    supported = Requirement(
        f"must be a version in {calendar.service}'s standard support", lambda version: is_supported(version, calendar)
    )
    yield from expect(props, path, supported, "the cluster gets no patches, or is billed extra", absent_passes=True)


def is_supported(version: Any, calendar: SupportCalendar) -> bool:
    """Whether a version is in standard support today, or newer than those that the calendar knows."""
    found = re.match(r"(\d+)\.(\d+)(\.|$)", version) if isinstance(version, str) else None
    if not found:
        return False
    minor = f"{found[1]}.{found[2]}"
    if minor in calendar.ends:
        return find_today() <= calendar.ends[minor]
    return _as_numbers(minor) > max(map(_as_numbers, calendar.ends))


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
