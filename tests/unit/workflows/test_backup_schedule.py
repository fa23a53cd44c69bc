"""The interval of backups in the schedules of all pipelines, compared with the alert on their age and the RPO.

Proves that the figures are consistent if one scheduled run is dropped. GitHub and Azure DevOps may drop two in a row;
the alert fires in that case.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from operations.timeline import RPO
from rehearsal.toolchain import ROOT
from tests.support.alert_rules import list_alerts
from tests.support.workflow_steps import WORKFLOWS, read

AZURE = ROOT / ".azure-pipelines" / "backup.yml"
MINUTE = 60.0


def read_cron(path: Path) -> str:
    content = read(path)
    (schedule,) = content["on"]["schedule"] if "on" in content else content["schedules"]
    cron: str = schedule["cron"]
    return cron


def find_interval(cron: str) -> float:
    """The longest time in seconds between two runs of a schedule that names minutes of every hour."""
    minutes, *rest = cron.split()
    assert rest == ["*"] * 4
    starts = sorted(int(minute) for minute in minutes.split(","))
    return (
        max((after - before) % 60 or 60 for before, after in zip(starts, starts[1:] + starts[:1], strict=True)) * MINUTE
    )


def find_alert_age() -> float:
    """The age in seconds at which the alert fires."""
    (alert,) = (alert for alert in list_alerts() if alert["alert"] == "BackupOverdue")
    assert "for" not in alert
    (minutes,) = re.findall(r"> (\d+) \* 60$", alert["expr"].strip())
    return int(minutes) * MINUTE


@pytest.mark.parametrize("path", [WORKFLOWS / "backup.yaml", AZURE], ids=lambda path: path.parent.name)
def test_one_dropped_run_neither_alarms_nor_costs_more_than_the_rpo(path: Path) -> None:
    without_one = 2 * find_interval(read_cron(path))
    assert without_one < find_alert_age() < RPO - 10 * MINUTE, "people have time to create a backup by hand"


def test_both_kinds_of_pipelines_have_the_same_interval() -> None:
    assert read_cron(AZURE) == read_cron(WORKFLOWS / "backup.yaml")


def test_an_hourly_schedule_leaves_no_margin() -> None:
    assert find_interval("17 * * * *") == RPO
    assert find_interval("0,30 * * * *") == 30 * MINUTE
    assert yaml.safe_load(AZURE.read_text())["schedules"][0]["always"] is True, "it runs without a new commit as well"
