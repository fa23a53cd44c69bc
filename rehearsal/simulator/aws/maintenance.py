"""Amazon RDS: the windows of maintenance and of backups, in UTC."""

from __future__ import annotations

import re

from rehearsal.simulator.core.clock_times import DAY, WEEK, count_minutes
from rehearsal.simulator.core.resource_model import ResourceRequest
from rehearsal.simulator.core.rules import matches

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LEAST = 30
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WEEKLY = re.compile(rf"(?i:({'|'.join(_DAYS)}):({_TIME})-({'|'.join(_DAYS)}):({_TIME}))")
_DAILY = re.compile(rf"({_TIME})-({_TIME})")


def parse_weekly(text: object) -> tuple[int, int] | None:
    """A window like `sun:22:00-mon:02:00` as its start, in minutes since Sunday 00:00, and its length in minutes."""
    found = _WEEKLY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    start, end = (
        _DAYS.index(day.lower()) * DAY + count_minutes(time) for day, time in (found.groups()[:2], found.groups()[2:])
    )
    return start, (end - start) % WEEK


def _parse_daily(text: object) -> tuple[int, int] | None:
    """A window like `20:00-21:00` as its start and its length, in minutes."""
    found = _DAILY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    start, end = map(count_minutes, found.groups())
    return start, (end - start) % DAY


# Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html; the message is not AWS's.
def _check_length(request: ResourceRequest) -> str | None:
    for name, parse in (("maintenanceWindow", parse_weekly), ("backupWindow", _parse_daily)):
        window = parse(request.get(name))
        if window is not None and window[1] < _LEAST:
            return f"InvalidParameterValue: The {name} {request.get(name)} must be at least {_LEAST} minutes."
    return None


# Source, of the message too: https://github.com/hashicorp/terraform-provider-aws/pull/7046
def _refuse_overlap(request: ResourceRequest) -> str | None:
    weekly, daily = parse_weekly(request.get("maintenanceWindow")), _parse_daily(request.get("backupWindow"))
    if weekly is None or daily is None:
        return None
    # The backup that begins first after the start of maintenance, and the one before that.
    until_next = (daily[0] - weekly[0]) % DAY
    if until_next >= weekly[1] and DAY - until_next >= daily[1]:
        return None
    return "InvalidParameterValue: The backup window and maintenance window must not overlap."


# The messages of the forms are the provider's.
# Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/verify/validate.go
WINDOW_RULES = (
    matches(
        "maintenanceWindow",
        _WEEKLY.pattern,
        '"maintenance_window" must satisfy the format of "ddd:hh24:mi-ddd:hh24:mi".',
    ),
    matches("backupWindow", _DAILY.pattern, '"backup_window" must satisfy the format of "hh24:mi-hh24:mi".'),
    _check_length,
    _refuse_overlap,
)
