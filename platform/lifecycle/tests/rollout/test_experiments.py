"""A rollout whose challenger is in an experiment: it waits, and then continues or is rolled back, as the records say.

Proves the path from records to the rollout's final commits with real git, a real MLflow, SQLite and the analysis; and
that the rollout does not act on records that are too few, broken, or about another version. Services, Prometheus and
records are simulated. The router is proven in tests/experiment/test_router.py, pull requests in test_modes.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lifecycle.core import Action, ModelRegistry, RegistryError, UnreachableError
from lifecycle.core.names import EXPERIMENT_SINCE_TAG, VERDICT_TAG
from lifecycle.core.participations import shorten
from lifecycle.gitops.experiments import DAY
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment
from support.running_experiment import NAME, PATH, RunningExperiment
from support.simulated_services import Service

WAITING = f"waiting: the experiment {NAME} decides"


@pytest.fixture
def experiment(environment: RolloutEnvironment, tmp_path: Path) -> RunningExperiment:
    """It runs, and the challenger has come in."""
    running = RunningExperiment(environment, tmp_path)
    running.define()
    assert running.step() == WAITING
    return running


def test_a_better_challenger_is_adopted(
    experiment: RunningExperiment, remote: GitRemote, models: RegisteredModels, notifications: JsonReceiver
) -> None:
    model = experiment.environment.model
    assert experiment.environment.weights() == [100, 0], "only the router sends it requests"
    assert models.status(model, "2") == "rolling-out"
    experiment.record(effect=0.1)
    assert experiment.decide().startswith("promote for version 2: The challenger is better: converted differs by +0.")
    assert experiment.step() == "10 %"
    assert f"\n\nThe experiment {NAME} says promote. The challenger is better" in remote.message()
    assert experiment.state == "running", "the router continues until the challenger is the champion"
    assert experiment.environment.run() == ["25 %", "50 %", "100 %", "adopted", "settled: version 2"]
    assert experiment.state == "ended"
    assert models.alias(model, "champion") == "2"
    assert [each["outcome"] for each in notifications.received] == ["promote", "serving"]
    assert notifications.received[0]["details"][0] == f"decided by the experiment {NAME}"


def test_a_worse_challenger_is_rolled_back_with_the_reasons(
    experiment: RunningExperiment, remote: GitRemote, models: RegisteredModels, notifications: JsonReceiver
) -> None:
    experiment.record(effect=-0.1)
    assert experiment.decide().startswith("stop for version 2: The challenger is worse")
    assert experiment.step() == "rolled-back: version 2"
    assert f"- The experiment {NAME} says stop. The challenger is worse: converted differs by -0." in remote.message()
    assert experiment.environment.weights() == [100]
    assert experiment.state == "ended", "in the same commit"
    assert models.status(experiment.environment.model, "2") == "rolled-back"
    assert [each["outcome"] for each in notifications.received] == ["stop", "rolled-back"]
    assert f"The experiment {NAME} says stop" in str(notifications.received[1]["details"])
    assert experiment.decide().startswith("no challenger of"), "it is over"


def test_an_undecided_experiment_waits_and_is_written_once(
    experiment: RunningExperiment, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver
) -> None:
    experiment.record(effect=0.02)
    before = remote.git("rev-parse", "main")
    first = experiment.decide(days=9)
    assert first.startswith("continue for version 2")
    version = models.client.get_model_version(experiment.environment.model, "2")
    second = experiment.decide(days=12)
    assert second.startswith("continue for version 2")
    assert second != first, "other figures"
    again = models.client.get_model_version(experiment.environment.model, "2")
    assert (again.last_updated_timestamp, again.tags) == (version.last_updated_timestamp, version.tags)
    message = experiment.step()
    assert message.startswith(f"{WAITING}; continue: The difference is not decided yet")
    assert (remote.git("rev-parse", "main"), notifications.received) == (before, [])


@pytest.mark.parametrize("users", [0, 1, 150])
def test_an_empty_or_tiny_window_decides_nothing_even_when_the_time_is_over(
    experiment: RunningExperiment, users: int
) -> None:
    experiment.record(effect=0.7, users=users)
    for days in (0.5, 12, 40):
        assert experiment.decide(days=days).startswith("no decision for version 2: Too few users have converted")
    assert experiment.step().startswith(f"{WAITING}; no decision: Too few users")
    assert experiment.environment.weights() == [100, 0]


def test_a_sample_ratio_mismatch_blocks_and_is_reported(experiment: RunningExperiment) -> None:
    assert experiment.decide().startswith("no decision for version 2: Too few users")
    experiment.record(effect=0.2, bias=0.3)
    assert experiment.decide().startswith("no decision for version 2: Sample ratio mismatch of users")
    assert experiment.step().startswith(f"{WAITING}; no decision: Sample ratio mismatch of users"), "another reason"


def test_records_from_before_the_challenger_entered_do_not_count(experiment: RunningExperiment) -> None:
    """Examples are fallbacks while there was no challenger, and responses of an earlier one."""
    experiment.record(effect=-0.2, before=11 * 24 * 3600.0)
    assert experiment.decide().startswith("no decision for version 2: Too few users")


def test_a_challenger_that_replaces_another_enters_again(experiment: RunningExperiment) -> None:
    experiment.write(Action.PROMOTE)
    experiment.environment.promote()
    experiment.environment.services["challenger"] = Service("3")
    assert experiment.step() == WAITING, "the decision was about version 2"
    assert (experiment.decided("2"), experiment.decided("3")) == (Action.PROMOTE, None)
    experiment.record(effect=-0.1)
    assert experiment.decide().startswith("stop for version 3")
    assert experiment.step() == "rolled-back: version 3"
    assert experiment.state == "running", "version 2 is the challenger again"
    experiment.environment.services["challenger"] = Service("2")
    assert experiment.step() == WAITING, "version 3 answered meanwhile"
    assert experiment.decided("2") is None


def test_a_decision_is_final(experiment: RunningExperiment) -> None:
    experiment.record(effect=0.1)
    experiment.write(Action.STOP)
    assert experiment.decide().startswith("stop, as decided for version 2: As tests say.")
    experiment.write(Action.PROMOTE)
    assert experiment.decided() is Action.STOP


def test_two_runs_at_once_leave_the_first_decision(experiment: RunningExperiment) -> None:
    participations = experiment.participations
    found = participations.find_latest(experiment.environment.model, NAME)
    assert found is not None
    assert participations.decide(found, Action.STOP, ["first"], found.since + 1)
    assert participations.decide(found, Action.PROMOTE, ["second"], found.since + 2) is None
    assert experiment.decided() is Action.STOP


@pytest.mark.parametrize("change", [{"state": "ended"}, {"model": "another"}], ids=["ended", "removed"])
def test_an_experiment_that_people_end_does_not_hold_a_rollout(
    experiment: RunningExperiment, change: dict[str, str]
) -> None:
    experiment.define(**change)
    assert experiment.step() == "10 %"


def test_an_experiment_that_begins_late_takes_the_requests(environment: RolloutEnvironment, tmp_path: Path) -> None:
    experiment = RunningExperiment(environment, tmp_path)
    assert [experiment.step(), experiment.step()] == ["10 %", "25 %"]
    experiment.define()
    assert experiment.step() == "0 %"
    assert environment.weights() == [100, 0]
    assert experiment.participations.find(environment.model, "2", NAME) is None, "not before"
    assert experiment.step() == WAITING
    experiment.write(Action.PROMOTE)
    assert experiment.step() == "10 %"


def test_without_criteria_people_decide(environment: RolloutEnvironment, tmp_path: Path) -> None:
    experiment = RunningExperiment(environment, tmp_path)
    experiment.define(criteria=None)
    assert experiment.step() == (
        f"waiting: the experiment {NAME} has no criteria, so people decide: end it to go on, or abort the rollout"
    )
    assert experiment.decide() == "no criteria, so people decide"


def test_a_challenger_that_does_not_answer_does_not_enter(environment: RolloutEnvironment, tmp_path: Path) -> None:
    experiment = RunningExperiment(environment, tmp_path)
    experiment.define()
    environment.services["challenger"].version = None
    assert "is not ready yet for version 2" in experiment.step()
    assert experiment.participations.find(environment.model, "2", NAME) is None
    environment.services["challenger"] = Service("2", status=500)
    assert experiment.step() == "rolled-back: version 2"
    assert experiment.state == "running", "it is for the next challenger"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("experiments: [", f"{PATH} is not YAML"),
        ("experiments: [{name: a}]", f"{PATH}: experiments.0.model is missing: add it"),
        ("experiments: [{name: a, model: m}, {name: b, model: m}]", "a running experiment of the model m"),
    ],
    ids=["no YAML", "invalid", "two of a model"],
)
def test_a_broken_file_holds_the_rollout_and_is_reported(
    environment: RolloutEnvironment, remote: GitRemote, text: str, problem: str
) -> None:
    controller = environment.controller()
    assert controller.step(environment.model).message == "10 %"
    remote.push_file(PATH, text)
    message = controller.step(environment.model).message
    assert message.startswith("waiting: it is not known whether an experiment runs: ")
    assert problem in message
    assert environment.weights() == [90, 10]
    environment.prometheus.errors = 0.5
    assert controller.step(environment.model).message == "rolled-back: version 2", "its guardrails still hold"


@pytest.mark.parametrize(("days", "expected"), [(10, "evaluation inconclusive at 0 %"), (5, "rolled-back: version 2")])
def test_a_challenger_has_as_long_to_be_ready_after_the_decision_as_after_a_step(
    experiment: RunningExperiment, days: float, expected: str
) -> None:
    """The decision on a day; the next look on the tenth, at a challenger that is not ready then."""
    experiment.write(Action.PROMOTE, after=days * DAY)
    experiment.environment.services["challenger"].failed_readiness_checks = 1
    controller = experiment.environment.controller()
    controller._clock = lambda: experiment.began + 10 * DAY + 60
    assert controller.step(experiment.environment.model).message.startswith(expected)


def test_a_person_aborts_during_an_experiment(experiment: RunningExperiment, remote: GitRemote) -> None:
    controller = experiment.environment.controller()
    assert controller.abort(experiment.environment.model, "aborted by hand").message == "rolled-back: version 2"
    assert "- aborted by hand" in remote.message()
    assert experiment.state == "ended"
    experiment.record(effect=0.1)
    assert experiment.decide().startswith("no challenger of"), "nothing is decided any more"
    assert experiment.decided() is None


def test_without_the_registry_nothing_is_decided_or_done(
    experiment: RunningExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.record(effect=0.1)
    with pytest.raises(UnreachableError):
        experiment.decide(url="http://127.0.0.1:9")
    assert experiment.decided() is None
    controller = experiment.environment.controller()
    with monkeypatch.context() as patch:
        patch.setattr(controller._registry, "client", ModelRegistry("http://127.0.0.1:9", fail_fast=True).client)
        with pytest.raises(RegistryError):
            controller.step(experiment.environment.model)
    assert experiment.environment.weights() == [100, 0]
    assert experiment.decide().startswith("promote")


def test_the_report_is_in_the_run_before_the_decision(
    experiment: RunningExperiment, models: RegisteredModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.record(effect=0.1)
    with monkeypatch.context() as patch:
        patch.setattr("lifecycle.experiment.report.write", lambda *_: [Path("/missing/report.json")])
        with pytest.raises(Exception, match="missing"):
            experiment.decide()
    assert experiment.decided() is None
    experiment.decide()
    run_id = models.run_id(experiment.environment.model, "2")
    found = models.client.list_artifacts(run_id, f"experiments/{NAME}")
    assert [Path(each.path).name for each in found] == ["report.html", "report.json"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (VERDICT_TAG, "promote"),
        (VERDICT_TAG, "another: promote"),
        (VERDICT_TAG, f"{NAME}: do it"),
        (EXPERIMENT_SINCE_TAG, "nan"),
        (EXPERIMENT_SINCE_TAG, "yesterday"),
    ],
)
def test_tags_in_another_format_are_not_decisions(
    experiment: RunningExperiment, models: RegisteredModels, key: str, value: str
) -> None:
    experiment.write(Action.CONTINUE)  # with reasons and time, so that only the tag is in doubt
    assert "; continue: " in experiment.step()
    models.client.set_model_version_tag(experiment.environment.model, "2", key, value)
    assert experiment.step() == WAITING
    assert experiment.environment.weights() == [100, 0]


def test_reasons_become_one_line_of_bounded_length() -> None:
    text = shorten(["x\nGroundwork-Rollout: settled", "y" * 5000])
    assert re.match(r"x Groundwork-Rollout: settled y", text)
    assert len(text) == 1000
