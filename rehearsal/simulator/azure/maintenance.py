"""AKS: when a cluster is maintained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model
from rehearsal.simulator.azure.nodes import CLUSTER_PATH
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest
from rehearsal.simulator.core.rules import in_range, matches, one_of

_RELEASES = "default"  # AKS's weekly releases; the others are for upgrades that the cluster's channels start
_NAMES = (_RELEASES, "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")
_KINDS = ("absoluteMonthly", "daily", "relativeMonthly", "weekly")
_SCHEDULE = "maintenanceWindow.schedule"


def _find_schedules(request: ResourceRequest) -> dict[str, Any] | None:
    """The schedules that are set, keyed by kind; None if a preview does not know them."""
    schedule = request.get(_SCHEDULE, {})
    if not isinstance(schedule, Mapping) or UNKNOWN in schedule.values():
        return None
    return {kind: schedule[kind] for kind in _KINDS if schedule.get(kind) is not None}


def _require_window(request: ResourceRequest) -> str | None:
    """The deprecated slots of a week exist only for AKS's releases. The message is not Azure's own.

    Source: https://learn.microsoft.com/azure/aks/planned-maintenance#deprecated-properties
    """
    name, window, slots = (request.get(path) for path in ("configName", "maintenanceWindow", "timeInWeek"))
    if name is UNKNOWN or window is not None or (name == _RELEASES and slots is not None):
        return None
    return f"InvalidParameter: The maintenance configuration '{name}' needs a maintenanceWindow."


def _require_one_schedule(request: ResourceRequest) -> str | None:
    """Source: https://learn.microsoft.com/azure/aks/planned-maintenance#schedule-types; not Azure's own message."""
    schedules = _find_schedules(request)
    if request.get("maintenanceWindow", UNKNOWN) is UNKNOWN or schedules is None or len(schedules) == 1:
        return None
    found = ", ".join(schedules) or "none"
    return (
        f"InvalidParameter: A maintenance window has exactly one schedule of {', '.join(_KINDS)}, but it has {found}."
    )


def _require_weekly_releases(request: ResourceRequest) -> str | None:
    """Sources: https://github.com/Azure/AgentBaker/pull/6529 (the message) and
    https://github.com/Azure/azure-cli/pull/33431 (each week)
    """
    schedules = _find_schedules(request)
    if request.get("configName") != _RELEASES or not schedules:
        return None
    weeks = request.get(f"{_SCHEDULE}.weekly.intervalWeeks", UNKNOWN)
    if "weekly" in schedules and weeks in (1, UNKNOWN):
        return None
    return (
        "InvalidParameter: Only weekly schedule is supported for control plane upgrade maintenance configuration: "
        f"{_RELEASES}."
    )


def _refuse_past_start(request: ResourceRequest) -> str | None:
    """A window that is sent again, with any other change, must not have begun in the past.

    Source: https://github.com/hashicorp/terraform-provider-azurerm/pull/23985; the message is not Azure's own.
    """
    start, today = request.get("maintenanceWindow.startDate"), request.circumstances.today.isoformat()
    if not isinstance(start, str) or start >= today:
        return None
    return f"InvalidParameter: The startDate {start} of the maintenance window is before the current date, {today}."


MODELS = (
    arm_model(
        "containerservice:MaintenanceConfiguration",
        CLUSTER_PATH + "/maintenanceConfigurations/{configName}",
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://github.com/Azure/ARO-HCP/pull/3260
            one_of(
                "configName",
                _NAMES,
                "InvalidParameter: Only 'default', 'aksManagedAutoUpgradeSchedule' and "
                "'aksManagedNodeOSUpgradeSchedule' are allowed configNames for maintenance configuration.",
            ),
            _require_window,
            _require_one_schedule,
            _require_weekly_releases,
            # The forms and bounds are those of the API's specification; the messages are not Azure's own.
            # Source: https://learn.microsoft.com/rest/api/aks/maintenance-configurations/create-or-update
            in_range(
                "maintenanceWindow.durationHours",
                4,
                24,
                "InvalidParameter: durationHours {value} of a maintenance window is not in 4 to 24.",
            ),
            # Source: https://learn.microsoft.com/rest/api/aks/maintenance-configurations/create-or-update
            matches(
                "maintenanceWindow.startTime",
                r"([01]\d|2[0-3]):[0-5]\d",
                "InvalidParameter: startTime '{value}' of a maintenance window is not between '00:00' and '23:59'.",
            ),
            # Source: https://learn.microsoft.com/rest/api/aks/maintenance-configurations/create-or-update
            matches(
                "maintenanceWindow.utcOffset",
                r"[+-]\d{2}:\d{2}",
                "InvalidParameter: utcOffset '{value}' of a maintenance window is not like '+00:00'.",
            ),
            # Source: https://learn.microsoft.com/rest/api/aks/maintenance-configurations/create-or-update
            matches(
                "maintenanceWindow.startDate",
                r"\d{4}-\d{2}-\d{2}",
                "InvalidParameter: startDate '{value}' of a maintenance window is not like '2026-12-31'.",
            ),
        ),
        state_rules=(_refuse_past_start,),
    ),
)
