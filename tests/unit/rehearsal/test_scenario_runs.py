"""Scenarios: which commands they run in which circumstances, and how their results are evaluated.

Proves the order of the commands and the evaluation, with stand-ins for the commands. tests/soak/test_scenarios.py runs
the real ones.
"""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import load_exceptions
from policies.engine.exceptions import Subject
from rehearsal import scenario_runs
from rehearsal.console import UserError
from rehearsal.project import Project, ScenarioSettings
from rehearsal.scenario_run import ScenarioRun
from rehearsal.scenario_runs import SCENARIOS, run
from rehearsal.session import Rehearsal
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from tests.support.previews import events, step

CALLERS = {"public": "api.allowed", "admins": "api.users"}
OUTSIDE = "no. The stack's setting for that is api.allowed."
UNKNOWN = "no. The stack's setting for that is api.users."


class Ended:
    def __init__(self, code: int) -> None:
        self._code = code

    def wait(self) -> int:
        return self._code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text(
        "config:\n  shop:cloud: aws\n  shop:location: eu-west-1\n  shop:api: {allowed: [192.0.2.0/24]}\n"
        "  shop:oven: {version: '1.36'}\n"
    )
    settings = ScenarioSettings(
        "cloud",
        {"aws": "arn:role"},
        {"api.protected": False},
        {"oven.heat": 200},
        earlier={"aws": {"oven.version": "1.35"}},
        sold_out={"aws": "m6i.xlarge"},
        in_stock={"aws": {"oven.pool.size": "m5.xlarge"}},
        grown={"cellar.size": "aws:rds/instance:Instance allocatedStorage"},
        table=tmp_path / "scenarios.md",
    )
    found = Project(tmp_path, "shop", tmp_path, callers=CALLERS, scenarios=settings)
    monkeypatch.setattr("rehearsal.project.current", lambda: found)
    return found


@pytest.fixture
def versions() -> list[Any]:
    """A section of the settings at the time of each command."""
    return []


def put_database(rehearsal: Rehearsal, size: int) -> None:
    inputs = {"allocatedStorage": size}
    with closing(StateStore(rehearsal.files.state)) as state:
        state.put(ResourceRecord("aws:rds/instance:Instance", "d", "urn", 0, inputs, inputs))


@pytest.fixture
def commands(project: Project, versions: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that are run. A caller outside, and an operator without the setting, are refused.

    So are an `up` that needs a size that is sold out, and a move after which a setting has to follow a disk's growth.
    """
    ran: list[str] = []
    seen = versions
    assert project.callers

    def start(self: ScenarioRun, title: str, command: str, *options: str) -> Any:
        assert title
        ran.append(" ".join([self.rehearsal.stack, command, *options]))
        folder = self.rehearsal.folder
        folder.mkdir(parents=True, exist_ok=True)
        config = self.rehearsal.settings_in_force().config
        refusal = OUTSIDE if "outside" in options else UNKNOWN if "operator" in options else ""
        if "arn:role" in config["shop:api"].get("users", []):
            refusal = ""
        if "--sold-out" in options and config["shop:oven"].get("pool") != {"size": "m5.xlarge"}:
            refusal = "eu-west-1a has no m6i.xlarge"
        if "growth" in options:
            put_database(self.rehearsal, 128)
            refusal = "" if config.get("shop:cellar") == {"size": 128} else "it cannot shrink"
        seen.append(config["shop:oven"])
        error = {"timestamp": 1, "diagnosticEvent": {"severity": "error", "message": refusal, "urn": ""}}
        (folder / "preview-events.jsonl").write_text(events() if not refusal else json.dumps(error))
        return Ended(int(bool(refusal)))

    monkeypatch.setattr(ScenarioRun, "start", start)
    return ran


DAY = date.today() + timedelta(days=396)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fresh-account", ["up --account fresh"]),
        ("Fresh account", ["up --account fresh"]),
        ("outside-the-network", ["up --caller outside", "up", "up --caller outside", "up"]),
        ("second-operator", ["up --account fresh", "up --caller operator", "up", "up --caller operator"]),
        ("destroy-then-up", ["up", "destroy", "up"]),
        ("thirteen-months-later", ["up --account fresh", f"up --today {DAY}"]),
        ("slow-grants", ["up --grants slow"]),
        (
            "after-growth-failover-and-scaling",
            [
                "up --account fresh",
                "move --actor growth",
                "up",
                "move --actor failover",
                "move --actor autoscaler",
                "up",
            ],
        ),
        ("minor-upgrade", ["up", "up", "move --actor patch", "up"]),
        (
            "region-out-of-stock",
            ["up --sold-out eu-west-1a/m6i.xlarge", "up --sold-out eu-west-1a/m6i.xlarge"],
        ),
    ],
)
def test_a_scenario_runs_its_commands_and_is_recorded(
    project: Project, commands: list[str], name: str, expected: list[str]
) -> None:
    assert run(name, "test") == 0
    assert commands == [f"test {each}" for each in expected]
    assert f"passed {date.today()}" in (project.root / "scenarios.md").read_text()


def test_all_scenarios_of_a_stack_share_one_deployment(
    project: Project, commands: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(project.scenarios, interrupted=["other"])
    monkeypatch.setattr("rehearsal.project.current", lambda: replace(project, scenarios=settings))
    assert run("all", "test") == 1
    assert commands.count("test up --account fresh") == 1
    assert commands.count("test up --grants slow") == 1
    ends = [line.split()[0] + " " + line.split()[2] for line in capsys.readouterr().err.splitlines() if "ED: " in line]
    expected = [f"{'FAILED' if name == 'two-stacks-in-one-account' else 'PASSED'}: {name}" for name in SCENARIOS]
    assert ends == [*expected[:-1], *expected[:-1]]
    assert list(project.rehearsals.iterdir()) == []  # there is no other stack, so the last scenario has not started


def test_no_scenario_continues_from_a_stack_that_does_not_come_up(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_with(1, "", monkeypatch)
    shared = Rehearsal("test", "scenarios", project=project)
    with pytest.raises(UserError, match="failed at 'up today'"):
        ScenarioRun(Rehearsal("test", "scenario-x", project=project), shared).bring_up("up today")
    assert not shared.folder.exists()


def test_settings_of_a_scenario_change_only_the_rehearsal(project: Project, commands: list[str]) -> None:
    before = (project.root / "Pulumi.test.yaml").read_text()
    assert run("destroy-then-up", "test") == 0
    rehearsal = Rehearsal("test", "scenario-destroy-then-up")
    assert rehearsal.settings_in_force().config["shop:api"] == {"allowed": ["192.0.2.0/24"], "protected": False}
    assert (project.root / "Pulumi.test.yaml").read_text() == before
    assert commands


def test_exceptions_of_a_scenario_are_added_to_those_of_the_policy_pack(
    project: Project, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(project.scenarios, exceptions={"aws": {"aws-s3-force-destroy": "visits-*"}})
    changed = replace(project, scenarios=settings, policy_pack=project.root)
    monkeypatch.setattr("rehearsal.project.current", lambda: changed)
    assert run("destroy-then-up", "test") == 0
    configuration = Rehearsal("test", "scenario-destroy-then-up").folder / "policy-pack-config.json"
    option = f"--policy-pack-config {configuration}"
    assert commands == [f"test up {option}", "test destroy", f"test up {option}"]
    written = json.loads(configuration.read_text())["exceptions"]["file"]
    *own, added = load_exceptions(Path(written))
    assert own == load_exceptions()
    assert added.covers("aws-s3-force-destroy", Subject("visits-a", stack="test"), date.today())
    assert not added.concerns("aws-s3-force-destroy", Subject("visits-a", stack="other"))


def test_a_minor_upgrade_starts_with_the_earlier_version(commands: list[str], versions: list[Any]) -> None:
    assert run("minor-upgrade", "test") == 0
    assert versions == [{"version": "1.35"}, *[{"version": "1.36"}] * 3]
    assert len(commands) == 4


def test_a_setting_is_adjusted_to_growth_in_the_cloud(commands: list[str]) -> None:
    assert run("after-growth-failover-and-scaling", "test") == 0
    rehearsal = Rehearsal("test", "scenario-after-growth-failover-and-scaling")
    assert rehearsal.settings_in_force().config["shop:cellar"] == {"size": 128}
    assert len(commands) == 6


def test_growth_that_no_setting_can_follow_fails(
    project: Project, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(project.scenarios, grown={})
    monkeypatch.setattr("rehearsal.project.current", lambda: replace(project, scenarios=settings))
    assert run("after-growth-failover-and-scaling", "test") == 1
    assert commands == ["test up --account fresh", "test move --actor growth"]


def test_a_preview_that_shrinks_something_fails(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shrinking = {
        **step("update"),
        "oldState": {"inputs": {"allocatedStorage": 128}},
        "newState": {"inputs": {"allocatedStorage": 64}},
        "detailedDiff": {"allocatedStorage": {"kind": "update"}},
    }
    end_with(0, events(shrinking), monkeypatch)
    scenario = scenario_run(project)
    scenario.succeed("up later", "up")
    with pytest.raises(UserError, match=r"failed at 'up later': .*allocatedStorage would shrink from 128 to 64"):
        scenario.require_harmless("up later")


@pytest.mark.parametrize(
    ("causes", "fails"), [("  - shop:oven.pool.size = m6i.xlarge (its default)", False), ("", True)]
)
def test_a_refusal_has_to_be_traced_to_a_setting(project: Project, causes: str, *, fails: bool) -> None:
    class Explaining(Project):
        def settings_causes(self) -> Any:
            return lambda _file, _stack, refusals: causes if refusals else ""

    values = {field.name: getattr(project, field.name) for field in fields(project)}
    rehearsal = Rehearsal("test", "scenario-x", project=Explaining(**{**values, "causes": "shop:explain"}))
    rehearsal.folder.mkdir(parents=True)
    error = {"diagnosticEvent": {"severity": "error", "message": "no machines", "urn": "urn:a::b::c::nodes"}}
    (rehearsal.folder / "up-events.jsonl").write_text(json.dumps(error))
    with pytest.raises(UserError, match=r"not traced to oven\.pool\.size") if fails else nullcontext():
        ScenarioRun(rehearsal).require_cause("up", ["oven.pool.size"])


@pytest.mark.parametrize(("name", "key"), [("minor-upgrade", "earlier"), ("region-out-of-stock", "sold_out")])
def test_a_missing_key_of_the_description_is_one_message(
    project: Project,
    commands: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    key: str,
) -> None:
    others: dict[str, Any] = {key: {"azure": {"a": 1}}}
    settings = replace(project.scenarios, **others)
    monkeypatch.setattr("rehearsal.project.current", lambda: replace(project, scenarios=settings))
    assert run(name, "test") == 1
    assert (
        f"rehearsal.yaml has no '{key}' for this scenario: set it in `scenarios` for 'aws'." in capsys.readouterr().err
    )
    assert commands == []


def scenario_run(project: Project) -> ScenarioRun:
    rehearsal = Rehearsal("test", "scenario-x", project=project)
    rehearsal.folder.mkdir(parents=True)
    return ScenarioRun(rehearsal)


def end_with(code: int, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: ScenarioRun, title: str, command: str, *options: str) -> Any:  # noqa: ARG001
        self.rehearsal.folder.mkdir(parents=True, exist_ok=True)
        (self.rehearsal.folder / "preview-events.jsonl").write_text(log)
        return Ended(code)

    monkeypatch.setattr(ScenarioRun, "start", start)


def test_a_loss_of_data_fails_the_scenario(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(0, events(step("replace", causes=["location"])), monkeypatch)
    with pytest.raises(UserError, match=r"failed at 'up later': .*\n  - aws:rds.* orders is replaced because of loc"):
        scenario_run(project).succeed("up later", "up")


def test_a_failed_command_fails_the_scenario(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(1, "", monkeypatch)
    with pytest.raises(UserError, match="failed at 'up': the reason is above"):
        scenario_run(project).succeed("up", "up")


@pytest.mark.parametrize(
    ("code", "message", "complaint"),
    [(0, "", "the command was not refused"), (1, "out of memory", "the refusal does not mention any of: the API")],
)
def test_an_expected_refusal_that_is_missing_or_has_another_reason_fails_the_scenario(
    project: Project, monkeypatch: pytest.MonkeyPatch, code: int, message: str, complaint: str
) -> None:
    error = {"diagnosticEvent": {"severity": "error", "message": message, "urn": ""}}
    end_with(code, json.dumps(error) if message else "", monkeypatch)
    with pytest.raises(UserError, match=complaint):
        scenario_run(project).fail("up from outside", ["the API"], "up")


def test_a_scenario_that_fails_is_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(1, "", monkeypatch)
    assert run("fresh-account", "test") == 1
    assert f"**failed** {date.today()}" in (project.root / "scenarios.md").read_text()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("destroy-than-up", " Did you mean destroy-then-up?"), ("", ""), ("zzz", "")],
)
def test_an_unknown_scenario_is_one_message(project: Project, name: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        run(name, "test")
    names = f"{', '.join(SCENARIOS)}; 'all' runs them all"
    assert str(error.value) == f"NAME='{name}' is not a scenario.{hint} Scenarios are {names}."
    assert not (project.root / "scenarios.md").exists()


def test_an_unknown_stack_is_reported_before_anything_starts(project: Project) -> None:
    with pytest.raises(UserError, match=r"There is no stack 'tset'.*Did you mean 'test'\?"):
        run("fresh-account", "tset")
    assert not (project.root / "scenarios.md").exists()


@pytest.mark.parametrize("value", [{"acount": "cloud"}, {"admins": "x"}, "cloud"])
def test_an_invalid_description_is_one_message(tmp_path: Path, value: object) -> None:
    from rehearsal.project import load

    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "rehearsal.yaml").write_text(yaml.safe_dump({"stacks": ".", "scenarios": value}))
    rule = r"scenarios = .* is not valid. Set it to a mapping with any of account and table, which are texts, "
    with pytest.raises(UserError, match=rule):
        load(tmp_path)


def test_each_point_of_interruption_is_a_run(monkeypatch: pytest.MonkeyPatch, commands: list[str]) -> None:
    shares: list[float] = []

    def interrupt(process: Any, rehearsal: Rehearsal, reached: int, share: float) -> int:  # noqa: ARG001
        shares.append(share)
        return reached + 1

    monkeypatch.setattr(scenario_runs, "interrupt_at", interrupt)
    assert run("kill-at-any-point", "test") == 0
    assert shares == [point / 26 for point in range(1, 26)]
    assert commands == ["test up"] * 26
