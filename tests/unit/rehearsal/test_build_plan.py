"""Programs that have to be built or downloaded are announced once, and each has its position among all."""

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
    tools = (pulumi_cli.TOOL, cli.TOOL, programs.API_SERVER, programs.ETCD, programs.KWOK)
    assert f"(about {sum(tool.build_minutes for tool in tools)} minutes on two cores)" in message
    assert [plan.start(tool) for tool in tools] == [f"{number} of 5" for number in range(1, 6)]


def test_nothing_is_announced_twice_or_if_nothing_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    plan = BuildPlan()
    plan.announce([])
    plan.announce([cli.TOOL])
    plan.announce([cli.TOOL])
    assert capsys.readouterr().err.count("To be built") == 1


def test_a_build_that_was_not_announced_has_no_position() -> None:
    assert BuildPlan().start(cli.TOOL) == ""
