"""Checks that whatever the clouds and controllers maintain by themselves is maintained at one time of the week.

Sources: https://learn.microsoft.com/azure/aks/planned-maintenance,
https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-maintenance,
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.Maintenance.html and, for Karpenter's
nodes, https://karpenter.sh/docs/concepts/disruption/#nodepool-disruption-budgets
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.simulator.aws.maintenance import parse_weekly
from rehearsal.simulator.core.clock_times import DAY, WEEK, count_minutes
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.graph import Wiring, describe

_AKS, _POSTGRES = "azure-native:containerservice:MaintenanceConfiguration", "azure-native:dbforpostgresql:Server"
_RDS = "aws:rds/instance:Instance"
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_POSTGRES_MINUTES = 60  # which Azure does not let one choose
# A weekly schedule at a full minute, and a duration in hours and minutes.
_CRON = re.compile(r"(\d+) (\d+) \* \* ([0-6])")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:0s)?")


@dataclass(frozen=True)
class _Window:
    """What is maintained, when that may begin, in minutes since Sunday 00:00 UTC, and for how many minutes."""

    what: str
    start: int
    minutes: int

    def contains(self, other: _Window) -> bool:
        return (other.start - self.start) % WEEK + other.minutes <= self.minutes

    def __str__(self) -> str:
        day, minute = divmod(self.start, DAY)
        return f"{_DAYS[day]} {minute // 60:02}:{minute % 60:02} UTC for {self.minutes / 60:g} h"


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    windows = [*_list_clouds_windows(wiring)]
    for pool in wiring.cluster.list("karpenter.sh/v1", "NodePool"):
        name = describe_object(pool)
        if (window := _find_drift_window(name, pool["spec"])) is not None:
            windows.append(window)
        else:
            reason = "its nodes are replaced as soon as they differ from it, at any time"
            yield Problem(name, reason, "add a weekly budget of 0 nodes for the reason Drifted outside of a window")
    if not windows:
        return
    longest = max(windows, key=lambda window: window.minutes)
    for window in windows:
        if not longest.contains(window):
            reason = f"it is maintained on {window}, but {longest.what} on {longest}"
            yield Problem(window.what, reason, "choose one time for all")


def _list_clouds_windows(wiring: Wiring) -> Iterator[_Window]:
    for type_, find in ((_AKS, _find_aks_window), (_POSTGRES, _find_postgres_window), (_RDS, _find_rds_window)):
        for resource in wiring.clouds.all(type_):
            found = find(resource)
            if found is not None:
                yield _Window(describe(resource), *found)


def _find_aks_window(configuration: Resource) -> tuple[int, int] | None:
    """Start and length of a weekly window; others are not compared."""
    window = configuration.inputs.get("maintenanceWindow") or {}
    day, time = look_up(window, "schedule.weekly.dayOfWeek", None), window.get("startTime")
    if day is None or time is None:
        return None
    local = _DAYS.index(day) * DAY + count_minutes(str(time))
    offset = str(window.get("utcOffset", "+00:00"))
    ahead = count_minutes(offset[1:]) * (-1 if offset.startswith("-") else 1)
    return (local - ahead) % WEEK, 60 * int(window.get("durationHours", 24))


def _find_postgres_window(server: Resource) -> tuple[int, int] | None:
    window = server.inputs.get("maintenanceWindow") or {}
    if window.get("customWindow") != "Enabled":
        return None
    day, hour, minute = (int(window.get(unit, 0)) for unit in ("dayOfWeek", "startHour", "startMinute"))
    return day * DAY + hour * 60 + minute, _POSTGRES_MINUTES


def _find_rds_window(instance: Resource) -> tuple[int, int] | None:
    return parse_weekly(instance.inputs.get("maintenanceWindow"))


def _find_drift_window(name: str, spec: Mapping[str, Any]) -> _Window | None:
    """When nodes of a pool may be replaced because they differ from it: while no budget of 0 nodes is active."""
    for budget in as_list(look_up(spec, "disruption.budgets", None)):
        reasons = budget.get("reasons") or ["Drifted"]
        cron, duration = (
            pattern.fullmatch(str(budget.get(key, "")))
            for pattern, key in ((_CRON, "schedule"), (_DURATION, "duration"))
        )
        if str(budget.get("nodes")) in ("0", "0%") and "Drifted" in reasons and cron and duration:
            minute, hour, day = map(int, cron.groups())
            blocked = 60 * int(duration[1] or 0) + int(duration[2] or 0)
            return _Window(name, (day * DAY + hour * 60 + minute + blocked) % WEEK, max(0, WEEK - blocked))
    return None
