"""Programs that have to be built are announced once, and each build has its position among all."""

from __future__ import annotations

import pytest

from rehearsal.build_plan import BuildPlan
from rehearsal.engine import pulumi_cli
from rehearsal.helm import cli
from rehearsal.kubernetes.control_plane import programs


def test_programs_that_share_an_executable_count_once(capsys: pytest.CaptureFixture[str]) -> None:
    plan = BuildPlan()
    plan.announce([pulumi_cli.TOOL, cli.TOOL, *programs.TOOLS])
    message = capsys.readouterr().err
    assert message.count("control plane") == 1
    minutes = pulumi_cli.TOOL.build_minutes + cli.TOOL.build_minutes + programs.ETCD.build_minutes
    assert f"(about {minutes} minutes on two cores)" in message
    assert [plan.start(tool) for tool in (pulumi_cli.TOOL, cli.TOOL, programs.ETCD)] == ["1 of 3", "2 of 3", "3 of 3"]


def test_nothing_is_announced_twice_or_if_nothing_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    plan = BuildPlan()
    plan.announce([])
    plan.announce([cli.TOOL])
    plan.announce([cli.TOOL])
    assert capsys.readouterr().err.count("To be built") == 1


def test_a_build_that_was_not_announced_has_no_position() -> None:
    assert BuildPlan().start(cli.TOOL) == ""
