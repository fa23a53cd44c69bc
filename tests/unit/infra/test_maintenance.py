"""When a stack's cluster, nodes and database are maintained.

Proves that one setting decides it on both clouds, also across midnight and the end of a week, and that the upgrade of a
pool fits in the window even if its nodes take all of their time to drain. test_optional_controllers has the budgets of
Karpenter. Does not prove that the clouds keep to it: Azure calls its windows best effort.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from infra.core.maintenance import MaintenanceWindow, WeeklyHour, find_window
from infra.core.settings import Cloud
from tests.support.recording import stack_context
from tests.support.sample_foundations import record_foundation

AKS = "azure-native:containerservice"


@pytest.mark.parametrize(
    ("setting", "end"),
    [
        ("Sunday 02:00", WeeklyHour(0, 6)),
        ("Sunday 22:00", WeeklyHour(1, 2)),
        ("Saturday 20:00", WeeklyHour(0, 0)),
    ],
)
def test_a_window_ends_four_hours_later(setting: str, end: WeeklyHour) -> None:
    window = find_window(stack_context(Cloud.AWS, "dev", maintenance=setting).settings)
    assert f"{window.start.day_name} {window.start.time}" == setting
    assert window.end == end
    assert window.hours + window.hours_outside == 7 * 24


def test_the_hour_before_the_week_begins_is_in_the_one_before() -> None:
    assert WeeklyHour(0, 1).move(-2) == WeeklyHour(6, 23)
    assert MaintenanceWindow(WeeklyHour(6, 23), 4).end.move(-4) == WeeklyHour(6, 23)


@pytest.mark.slow
def test_on_azure_cluster_nodes_and_database_are_maintained_at_the_time_of_the_setting() -> None:
    recorder = record_foundation(Cloud.AZURE, maintenance="Saturday 23:00").recorder
    windows = {each.inputs["configName"]: each.inputs for each in recorder.of_type(f"{AKS}:MaintenanceConfiguration")}
    assert windows.keys() == {"default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"}
    for inputs in windows.values():
        assert inputs["maintenanceWindow"] == {
            "schedule": {"weekly": {"dayOfWeek": "Saturday", "intervalWeeks": 1}},
            "startTime": "23:00",
            "utcOffset": "+00:00",
            "durationHours": 4,
        }
    server = recorder.single("azure-native:dbforpostgresql:Server").inputs["maintenanceWindow"]
    assert server == {"customWindow": "Enabled", "dayOfWeek": 6, "startHour": 23, "startMinute": 0}


@pytest.mark.slow
def test_on_aws_the_database_is_maintained_at_the_time_of_the_setting_and_backed_up_before() -> None:
    database = record_foundation(Cloud.AWS, maintenance="Saturday 23:00").recorder.single("aws:rds/instance:Instance")
    assert database.inputs["maintenanceWindow"] == "sat:23:00-sun:03:00"
    assert database.inputs["backupWindow"] == "21:00-22:00"


@pytest.mark.slow
def test_the_upgrade_of_a_pool_fits_in_the_window() -> None:
    """A third of the nodes at a time, rounded up, makes at most four rounds."""
    recorder = record_foundation(Cloud.AZURE).recorder
    (system,) = recorder.single(f"{AKS}:ManagedCluster").inputs["agentPoolProfiles"]
    pools: list[Mapping[str, Any]] = [system, recorder.single(f"{AKS}:AgentPool").inputs]
    for settings in (pool["upgradeSettings"] for pool in pools):
        assert settings["maxSurge"] == "33%"
        assert 4 * (settings["drainTimeoutInMinutes"] + settings["nodeSoakDurationInMinutes"]) < 4 * 60
