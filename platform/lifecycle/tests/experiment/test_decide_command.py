"""`python -m lifecycle.experiment decide`: its output and decisions, with a real MLflow and SQLite as the store.

Proves the command line: which experiments it decides on, its settings, its exit status, and that an experiment that
fails, which is simulated, does not stop the others. The decisions are proven in tests/rollout/test_experiments.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from lifecycle.core import Action, ModelRegistry, Participations, RegistryError
from lifecycle.experiment.__main__ import main
from lifecycle.experiment.decisions import Decider
from lifecycle.experiment.records import Record
from lifecycle.experiment.sqlite_store import SqliteStore
from lifecycle.gitops.experiments import DAY, Experiment
from support.experiment import EXPERIMENT, create_results
from support.network import UNUSED_URL
from support.registered_models import RegisteredModels

USERS = 3000


@dataclass(frozen=True)
class Stack:
    """An experiments file, a store, and a registry in which challengers have taken part for twelve days."""

    models: RegisteredModels
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "experiments.yaml"

    def define(self, *names: str, **changes: object) -> None:
        """Experiments with these names, each with its own model, whose version 1 takes part."""
        entries = []
        for name in names:
            model = self.models.create()
            version = self.models.create_version(model)
            since = time.time() - 12 * DAY
            Participations(ModelRegistry(self.models.uri)).enter(model, version, name, since)
            criteria = {"outcome": "converted", "minimum_effect": 0.05}
            entry = {"name": name, "model": model, "user_window_days": 1, "challenger_percent": 50}
            entries.append({**entry, "outcomes": {"converted": "binary"}, "criteria": criteria, **changes})
        self.file.write_text(yaml.safe_dump({"experiments": entries}))

    def record(self, name: str, effect: float) -> None:
        records: list[Record] = [*create_results(USERS, effect, start=time.time() - 12 * DAY + 1)]
        store = SqliteStore(str(self.folder / "experiments.db"))
        store.write([replace(each, experiment=name, request_id=f"{name}-{each.request_id}") for each in records])  # type: ignore[type-var, call-arg]
        store.close()

    def decided(self, name: str) -> Action | None:
        entries = yaml.safe_load(self.file.read_text())["experiments"]
        model = next(entry["model"] for entry in entries if entry["name"] == name)
        found = Participations(ModelRegistry(self.models.uri)).find_latest(model, name)
        return found.decision.action if found and found.decision else None


@pytest.fixture
def stack(mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in {
        "EXPERIMENT_FILE": str(tmp_path / "experiments.yaml"),
        "EXPERIMENT_STORE": f"sqlite:///{tmp_path / 'experiments.db'}",
        "GITOPS_STACK": "dev",
        "MLFLOW_TRACKING_URI": mlflow_server,
    }.items():
        monkeypatch.setenv(name, value)
    return Stack(RegisteredModels(mlflow_server), tmp_path)


def test_all_running_experiments_are_decided_on(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.define(EXPERIMENT, "other")
    stack.record(EXPERIMENT, effect=0.1)
    stack.record("other", effect=-0.1)
    assert main(["decide", "--all"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{EXPERIMENT}: promote for version 1: The challenger is better")
    assert second.startswith("other: stop for version 1: The challenger is worse")
    assert (stack.decided(EXPERIMENT), stack.decided("other")) == (Action.PROMOTE, Action.STOP)
    assert main(["decide", "--all"]) == 0
    assert capsys.readouterr().out.startswith(f"{EXPERIMENT}: promote, as decided for version 1: ")


def test_one_experiment_is_decided_on_by_its_name(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.define(EXPERIMENT, "other")
    stack.record(EXPERIMENT, effect=0.1)
    stack.record("other", effect=-0.1)
    assert main(["decide", "other"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("other: stop for version 1")
    assert (stack.decided(EXPERIMENT), stack.decided("other")) == (None, Action.STOP)


def test_an_experiment_that_fails_does_not_stop_the_others(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.define("broken", EXPERIMENT)
    stack.record(EXPERIMENT, effect=0.1)
    decide = Decider.decide

    def fail_or_decide(self: Decider, experiment: Experiment) -> str:
        if experiment.name == "broken":
            raise RegistryError("MLflow rejects the call: no such version")
        return decide(self, experiment)

    monkeypatch.setattr(Decider, "decide", fail_or_decide)
    capsys.readouterr()  # discard MLflow's output about the versions
    assert main(["decide", "--all"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{EXPERIMENT}: promote for version 1")
    # Without the lines of the log, which are for machines.
    assert [line for line in printed.err.splitlines() if line.startswith("error: ")] == [
        "error: broken: MLflow rejects the call: no such version",
        "error: These experiments were not decided on, for the reasons above: broken.",
    ]
    assert stack.decided(EXPERIMENT) is Action.PROMOTE


@pytest.mark.parametrize("content", [None, "experiments: []\n"], ids=["no file yet", "none in it"])
def test_without_experiments_there_is_nothing_to_do(
    stack: Stack, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        stack.file.write_text(content)
    assert main(["decide", "--all"]) == 0
    expected = "" if content else f"There are no experiments until {stack.file} appears.\n"
    assert capsys.readouterr().out == expected


def test_nothing_is_decided_without_records(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.define(EXPERIMENT)
    assert main(["decide", EXPERIMENT]) == 0
    assert capsys.readouterr().out.startswith(f"{EXPERIMENT}: no decision for version 1: Too few users have converted")


@pytest.mark.parametrize(
    ("arguments", "variable", "value", "message"),
    [
        (["missing"], "", "", f"has no running experiment 'missing'; running experiments: {EXPERIMENT}"),
        (["--all"], "EXPERIMENT_FILE", "/missing/e.yaml", "/missing/e.yaml cannot be read: No such file or directory"),
        (["--all"], "EXPERIMENT_FILE", None, "EXPERIMENT_FILE is not set and has no default: set it"),
        (["--all"], "EXPERIMENT_STORE", "mongodb://host/db", "EXPERIMENT_STORE is 'mongodb://host/db', which is not"),
        (["--all"], "EXPERIMENT_STORE", "sqlite:////missing/e.db", "the store /missing/e.db cannot be used"),
        (["--all"], "GITOPS_STACK", None, "GITOPS_STACK is not set and has no default: set it"),
        (["--all"], "MLFLOW_TRACKING_URI", None, "MLFLOW_TRACKING_URI is not set and has no default: set it"),
        (["--all"], "MLFLOW_TRACKING_URI", UNUSED_URL, "MLflow does not answer at 'http://127.0.0.1:9'"),
    ],
)
def test_bad_input_is_one_message(
    stack: Stack,
    arguments: list[str],
    variable: str,
    value: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack.define(EXPERIMENT)
    capsys.readouterr()  # discard MLflow's output about the version
    if variable:
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    assert main(["decide", *arguments]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert printed.out == ""


def test_an_ended_experiment_is_not_a_running_one(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.define(EXPERIMENT, state="ended")
    assert main(["decide", EXPERIMENT]) == 1
    assert f"has no running experiment '{EXPERIMENT}'; running experiments: none" in capsys.readouterr().err


def test_an_invalid_file_is_named_line_by_line(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.file.write_text("experiments: [{name: a}, {name: B, model: m}]\n")
    assert main(["decide", "--all"]) == 1
    printed = capsys.readouterr().err
    assert f"{stack.file}: experiments.0.model is missing: add it" in printed
    assert "experiments.1.name is 'B'" in printed


@pytest.mark.parametrize("arguments", [[], [EXPERIMENT, "--all"]], ids=["neither", "both"])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["decide", *arguments])
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
