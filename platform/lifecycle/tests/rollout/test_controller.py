"""A rollout from the promotion's commit to the end, and back, with real git and a real MLflow.

Proves the order of commits, aliases and tags, and that a failing, slow, dead or unmeasured challenger is rolled back.
Services and Prometheus are simulated here; test_guardrails sends the queries to a real Prometheus, and test_kill_points
kills the controller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from lifecycle.rollout.controller import RolloutError
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment
from support.simulated_services import Service

COMPLETE_ROLLOUT = ["10 %", "25 %", "50 %", "100 %", "adopted", "settled: version 2"]


def test_a_good_challenger_is_adopted(
    environment: RolloutEnvironment, remote: GitRemote, models: RegisteredModels, notifications: JsonReceiver
) -> None:
    before = len(remote.subjects())
    assert environment.weights() == [100, 0]
    assert environment.run() == COMPLETE_ROLLOUT
    assert [re.sub(r".*version 2 ?", "", subject) for subject in remote.subjects()[before:]] == [
        *("10 % of the requests", "25 % of the requests", "50 % of the requests", "100 % of the requests"),
        *("the champion", "serve alone"),
    ]
    assert environment.declared_version("champion") == "2"
    assert environment.weights() == [100]
    assert not [file for file in environment.files() if "challenger" in file]
    assert models.alias(environment.model, "champion") == "2"
    assert models.alias(environment.model, "challenger") == ""
    assert (models.status(environment.model, "1"), models.status(environment.model, "2")) == ("registered", "serving")
    assert [notification["outcome"] for notification in notifications.received] == ["serving"]
    assert environment.run() == ["settled: version 2"], "another step changes nothing"
    assert len(notifications.received) == 1


def test_five_rows_are_predicted_before_each_step(environment: RolloutEnvironment) -> None:
    environment.controller().step(environment.model)
    requests = environment.services["challenger"].requests
    assert [body["features"] for body in requests] == [{"a": number, "b": 0.5} for number in range(5)]


def test_one_slow_response_to_a_test_prediction_is_not_a_failure(environment: RolloutEnvironment) -> None:
    challenger = environment.services["challenger"]
    challenger.hanging_requests, environment.settings["test_timeout"] = 1, 5.0
    assert environment.controller().step(environment.model).message == "10 %"
    assert len(challenger.requests) == 6, "the slow one was repeated"


def inject_fault(environment: RolloutEnvironment, fault: str) -> None:
    challenger = environment.services["challenger"]
    faults: dict[str, Callable[[], None]] = {
        "dead": lambda: setattr(challenger, "version", None),
        "slow": lambda: setattr(challenger, "hanging_requests", math.inf),
        "failing": lambda: setattr(challenger, "status", 500),
        "not a number": lambda: setattr(challenger, "prediction", float("nan")),
        "another version": lambda: setattr(challenger, "version", "1"),
        "errors": lambda: setattr(environment.prometheus, "errors", 0.03),
        "losses": lambda: setattr(environment.prometheus, "lost", 30),
        "latency": lambda: setattr(environment.prometheus, "slow", 0.1),
        "rejections": lambda: setattr(environment.prometheus, "rejected", 0.1),
        "restarts": lambda: setattr(environment.prometheus, "restarts", 1),
        "deaths": lambda: setattr(environment.prometheus, "worker_deaths", 1),
    }
    faults[fault]()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("dead", "/ready did not become ready"),
        ("slow", "a test prediction got no response within 0.2 s"),
        ("failing", "a test prediction got a response with status 500"),
        ("not a number", "the response to a test prediction is not one finite value"),
        ("another version", "answered by version 1, not 2"),
        ("errors", "30 of 1000 requests failed, of the champion's 0 of 1000"),
        ("losses", "30 of 1030 requests failed, of the champion's 0 of 1000"),
        ("latency", "100 of 1000 responses took longer than 0.5 s, more than 0.05"),
        ("rejections", "100 of 1000 requests were rejected, of the champion's 0 of 1000"),
        ("restarts", "1 container restarts, more than 0"),
        ("deaths", "1 worker processes died, more than 0"),
    ],
)
def test_a_failing_challenger_is_rolled_back_from_any_step(
    environment: RolloutEnvironment,
    remote: GitRemote,
    models: RegisteredModels,
    notifications: JsonReceiver,
    fault: str,
    reason: str,
) -> None:
    before = remote.git("rev-parse", f"main~1:stacks/dev/{environment.model}/generated")
    controller = environment.controller()
    assert [controller.step(environment.model).message for _ in range(2)] == ["10 %", "25 %"]
    inject_fault(environment, fault)
    if fault == "slow":
        environment.settings["test_timeout"] = 0.2  # not before: a busy machine delays healthy services, too
        controller = environment.controller()
    assert controller.step(environment.model).message == "rolled-back: version 2"

    assert remote.git("rev-parse", f"main:stacks/dev/{environment.model}/generated") == before, (
        "byte for byte as before"
    )
    assert remote.subjects()[-1] == f"Revert the rollout of {environment.model} version 2"
    assert reason in remote.message()
    assert len([subject for subject in remote.subjects() if " % of" in subject]) == 2, "the history is kept"
    assert models.alias(environment.model, "champion") == "1"
    assert models.alias(environment.model, "challenger") == ""
    assert models.status(environment.model, "2") == "rolled-back"
    assert [notification["outcome"] for notification in notifications.received] == ["rolled-back"]
    assert any(reason in detail for detail in notifications.received[0]["details"])


@pytest.mark.parametrize("missing", ["requests", "slow", "restarts", "Prometheus"])
def test_missing_data_is_inconclusive_and_in_the_end_a_failure(
    environment: RolloutEnvironment, remote: GitRemote, missing: str
) -> None:
    controller = environment.controller()
    controller.step(environment.model)
    if missing == "Prometheus":
        environment.prometheus.is_down = True
    else:
        setattr(environment.prometheus, missing, None)
    assert "evaluation inconclusive" in controller.step(environment.model).message
    assert environment.weights() == [90, 10]
    environment.settings["progress_deadline"] = 0.001
    assert environment.run() == ["rolled-back: version 2"]
    message = remote.message()
    assert "At 10 % of the requests:\n- the evaluation was inconclusive for " in message
    names = {"Prometheus": "Prometheus does not answer at http", "slow": "Prometheus has no response times"}
    assert names.get(missing, missing) in message


@pytest.mark.parametrize("errors", [0.0, 0.02, 0.2])
def test_a_challenger_that_fails_as_often_as_its_champion_is_rolled_out_within_the_limit(
    environment: RolloutEnvironment, errors: float
) -> None:
    environment.prometheus.errors = environment.prometheus.champion_errors = errors
    environment.prometheus.slow = environment.prometheus.champion_slow = 0.02
    expected = "25 %" if errors < 0.05 else "rolled-back: version 2"
    controller = environment.controller()
    assert [controller.step(environment.model).message for _ in range(2)] == ["10 %", expected]


def test_a_step_waits_for_enough_requests(environment: RolloutEnvironment) -> None:
    controller = environment.controller()
    controller.step(environment.model)
    environment.prometheus.requests = 49
    assert "49 of 50 requests" in controller.step(environment.model).message
    environment.prometheus.requests = 50
    assert controller.step(environment.model).message == "25 %"


def test_a_step_lasts_for_its_interval_and_a_restart_does_not_shorten_it(environment: RolloutEnvironment) -> None:
    environment.settings["interval"] = 3600
    assert environment.controller().step(environment.model).message == "10 %"
    assert "guardrails pass at 10 %" in environment.controller().step(environment.model).message
    environment.prometheus.errors = 0.5
    assert environment.controller().step(environment.model).message == "rolled-back: version 2", (
        "a failure does not wait for the interval"
    )


def test_a_step_waits_for_a_service_to_become_ready(environment: RolloutEnvironment) -> None:
    controller = environment.controller()
    environment.services["challenger"].failed_readiness_checks = 1
    assert "/ready is not ready yet for version 2" in controller.step(environment.model).message
    assert controller.step(environment.model).message == "10 %"
    environment.services["challenger"].failed_readiness_checks = 2
    assert controller.step(environment.model).message == "25 %", "with requests, it gets a few checks"


def test_a_champion_whose_new_pods_do_not_start_is_rolled_back_with_its_alias(
    environment: RolloutEnvironment, models: RegisteredModels
) -> None:
    controller = environment.controller()
    assert [controller.step(environment.model).message for _ in range(5)] == COMPLETE_ROLLOUT[:5]
    environment.services["champion"].version = None
    assert "evaluation inconclusive" in controller.step(environment.model).message
    assert models.alias(environment.model, "champion") == "2"
    environment.settings["progress_deadline"] = 0.001
    assert environment.run() == ["rolled-back: version 2"]
    assert environment.declared_version("champion") == "1"
    assert models.alias(environment.model, "champion") == "1"
    assert (models.status(environment.model, "1"), models.status(environment.model, "2")) == ("serving", "rolled-back")


def test_a_first_version_that_fails_leaves_no_files(
    environment: RolloutEnvironment, models: RegisteredModels, remote: GitRemote
) -> None:
    environment.model = environment.services.model = models.create()
    environment.promote()
    environment.services["challenger"] = Service(None)
    assert "evaluation inconclusive at 100 %" in environment.controller().step(environment.model).message
    environment.settings["progress_deadline"] = 0.001
    assert environment.run() == ["rolled-back: version 1"]
    assert environment.files() == [f"stacks/dev/{environment.model}/kustomization.yaml"], "which is people's"
    assert environment.model not in remote.read("stacks/dev/kustomization.yaml")


def test_the_rollbacks_commit_lists_reasons_and_reverted_commits(
    environment: RolloutEnvironment, remote: GitRemote
) -> None:
    controller = environment.controller()
    assert [controller.step(environment.model).message for _ in range(2)] == ["10 %", "25 %"]
    ten, quarter = remote.git("log", "-2", "--reverse", "--format=%H", "main").split()
    promoted = remote.git("rev-parse", "main~2")
    remote.push_file("stacks/dev/README", "of another topic")
    environment.prometheus.errors, environment.prometheus.worker_deaths = 0.03, 2
    controller.step(environment.model)
    assert (
        remote.message()
        == f"""Revert the rollout of {environment.model} version 2

At 25 % of the requests:
- 30 of 1000 requests failed, of the champion's 0 of 1000
- 2 worker processes died, more than 0

This reverts commit {quarter}.
This reverts commit {ten}.
This reverts commit {promoted}.
stacks/dev/{environment.model}/generated is as it was before them.

Groundwork-Model: {environment.model}
Groundwork-Version: 2
Groundwork-Rollout: rolled-back
Groundwork-Event: rollout-{quarter[:12]}-rolled-back"""
    )


def test_a_rollout_is_aborted_by_hand(
    environment: RolloutEnvironment, remote: GitRemote, models: RegisteredModels
) -> None:
    controller = environment.controller()
    controller.step(environment.model)
    assert controller.abort(environment.model, "aborted by hand").message == "rolled-back: version 2"
    assert "aborted by hand" in remote.message()
    assert environment.weights() == [100]
    assert models.status(environment.model, "2") == "rolled-back"


def test_a_newer_challenger_starts_without_requests(environment: RolloutEnvironment, models: RegisteredModels) -> None:
    controller = environment.controller()
    controller.step(environment.model)
    assert environment.promote() == "3"
    environment.services["challenger"] = environment.services["champion"] = Service("3")
    assert environment.weights() == [100, 0]
    assert environment.run() == [*COMPLETE_ROLLOUT[:5], "settled: version 3"]
    assert models.alias(environment.model, "champion") == "3"


@pytest.mark.parametrize("end", ["settled", "rolled back"])
def test_peoples_files_survive_a_rollout_with_any_result(
    environment: RolloutEnvironment, remote: GitRemote, end: str
) -> None:
    edited = {
        f"stacks/dev/{environment.model}/kustomization.yaml": "kind: Component\npatches: []\n# people's settings\n",
        f"stacks/dev/{environment.model}/diagram.png": "\ufffd",
        "stacks/dev/kustomization.yaml": remote.read("stacks/dev/kustomization.yaml") + "\n# a person's remark\n",
    }
    controller = environment.controller()
    controller.step(environment.model)
    for path, text in edited.items():
        remote.push_file(path, text)
    remote.push_bytes(f"stacks/dev/{environment.model}/weights.bin", b"\xff\xfe")
    environment.prometheus.errors = 0.0 if end == "settled" else 0.5
    environment.run()
    assert environment.weights() == [100]
    assert environment.declared_version("champion") == ("2" if end == "settled" else "1")
    for path, text in edited.items():
        assert remote.read(path) == text.strip(), path
    assert f"stacks/dev/{environment.model}/weights.bin" in remote.files()


def test_a_challenger_without_a_promotion_needs_a_manual_decision(
    environment: RolloutEnvironment, remote: GitRemote
) -> None:
    challenger = f"stacks/dev/{environment.model}/generated/challenger.yaml"
    remote.push_file(challenger, remote.read(f"{challenger}").replace("'2'", "'7'"))
    with pytest.raises(RolloutError, match=r"promoted version 7 of .*remove its challenger\.yaml"):
        environment.controller().step(environment.model)
