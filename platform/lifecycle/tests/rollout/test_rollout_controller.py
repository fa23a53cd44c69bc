"""A rollout from the promotion's commit to the end, and back, on real git and a real MLflow.

Proves the order of commits, aliases and tags, and that a bad, slow, dead or unmeasured challenger is taken back.
Services and Prometheus are simulated here; the queries meet a real Prometheus in test_rollout_guardrails, and the
controller a SIGKILL in test_rollout_kills.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lifecycle.rollout.controller import RolloutError
from promotion_parts import Listener, Models, Remote

from .simulated import Service
from .stage import Stage

ALL_THE_WAY = ["10 %", "25 %", "50 %", "100 %", "adopted", "settled: version 2"]


def test_a_good_challenger_goes_all_the_way(stage: Stage, remote: Remote, models: Models, listener: Listener) -> None:
    before = len(remote.subjects())
    assert stage.weights() == [100, 0]
    assert stage.run() == ALL_THE_WAY
    assert [re.sub(r".*version 2 ?", "", subject) for subject in remote.subjects()[before:]] == [
        *("10 % of the requests", "25 % of the requests", "50 % of the requests", "100 % of the requests"),
        *("the champion", "serve alone"),
    ]
    assert stage.serving("champion") == "2"
    assert stage.weights() == [100]
    assert not [file for file in stage.files() if "challenger" in file]
    assert models.alias(stage.name, "champion") == "2"
    assert models.alias(stage.name, "challenger") == ""
    assert (models.status(stage.name, "1"), models.status(stage.name, "2")) == ("registered", "serving")
    assert [news["outcome"] for news in listener.heard] == ["serving"]
    assert stage.run() == ["settled: version 2"], "looking again changes nothing"
    assert len(listener.heard) == 1


def test_five_rows_are_predicted_before_each_step(stage: Stage) -> None:
    stage.controller().step(stage.name)
    asked = stage.services["challenger"].asked
    assert [body["features"] for body in asked] == [{"a": number, "b": 0.5} for number in range(5)]


def fail(stage: Stage, fault: str) -> None:
    challenger = stage.services["challenger"]
    faults: dict[str, Callable[[], None]] = {
        "dead": lambda: setattr(challenger, "version", None),
        "slow": lambda: setattr(challenger, "delay", 0.7),
        "failing": lambda: setattr(challenger, "status", 500),
        "not a number": lambda: setattr(challenger, "prediction", float("nan")),
        "another version": lambda: setattr(challenger, "version", "1"),
        "errors": lambda: setattr(stage.prometheus, "errors", 0.06),
        "latency": lambda: setattr(stage.prometheus, "p95", 0.6),
        "restarts": lambda: setattr(stage.prometheus, "restarts", 1),
    }
    faults[fault]()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("dead", "/ready did not say yes"),
        ("slow", "a test prediction got no answer within 0.5 s"),
        ("failing", "a test prediction was answered with status 500"),
        ("not a number", "a test prediction was not one finite value"),
        ("another version", "answered by version 1, not 2"),
        ("errors", "error rate is 0.06, more than 0.05"),
        ("latency", "p95 in seconds is 0.6, more than 0.5"),
        ("restarts", "restarts is 1, more than 0"),
    ],
)
def test_a_bad_challenger_is_taken_back_from_where_it_is(
    stage: Stage, remote: Remote, models: Models, listener: Listener, fault: str, reason: str
) -> None:
    good = remote.git("rev-parse", f"main~1:dev/{stage.name}")
    controller = stage.controller()
    assert [controller.step(stage.name).words for _ in range(2)] == ["10 %", "25 %"]
    fail(stage, fault)
    assert controller.step(stage.name).words == "rolled-back: version 2"

    assert remote.git("rev-parse", f"main:dev/{stage.name}") == good, "to the letter what it was before"
    assert remote.subjects()[-1] == f"Revert the rollout of {stage.name} version 2"
    assert reason in remote.git("log", "-1", "--format=%B", "main")
    assert len([subject for subject in remote.subjects() if " % of" in subject]) == 2, "the history is kept"
    assert models.alias(stage.name, "champion") == "1"
    assert models.alias(stage.name, "challenger") == ""
    assert models.status(stage.name, "2") == "rolled-back"
    assert [news["outcome"] for news in listener.heard] == ["rolled-back"]
    assert any(reason in detail for detail in listener.heard[0]["details"])


@pytest.mark.parametrize("lacking", ["requests", "errors", "p95", "restarts", "Prometheus"])
def test_no_data_is_no_success_and_in_the_end_a_failure(stage: Stage, remote: Remote, lacking: str) -> None:
    controller = stage.controller()
    controller.step(stage.name)
    if lacking == "Prometheus":
        stage.prometheus.down = True
    else:
        setattr(stage.prometheus, lacking, None)
    assert "cannot be judged yet" in controller.step(stage.name).words
    assert stage.weights() == [90, 10]
    stage.changes["patience"] = 0.001
    assert stage.run() == ["rolled-back: version 2"]
    message = remote.git("log", "-1", "--format=%B", "main")
    assert "At 10 % of the requests:\n- it could not be judged for " in message
    assert {"Prometheus": "Prometheus does not answer at http"}.get(lacking, lacking) in message.replace(
        "error rate", "errors"
    )


def test_too_few_requests_are_waited_for(stage: Stage) -> None:
    controller = stage.controller()
    controller.step(stage.name)
    stage.prometheus.requests = 49
    assert "49 of 50 requests" in controller.step(stage.name).words
    stage.prometheus.requests = 50
    assert controller.step(stage.name).words == "25 %"


def test_a_step_stands_for_its_interval_and_a_restart_does_not_shorten_it(stage: Stage) -> None:
    stage.changes["interval"] = 3600
    assert stage.controller().step(stage.name).words == "10 %"
    assert "10 % is good so far" in stage.controller().step(stage.name).words
    stage.prometheus.errors = 0.5
    assert stage.controller().step(stage.name).words == "rolled-back: version 2", "what is bad does not wait"


def test_a_service_that_becomes_ready_is_waited_for(stage: Stage) -> None:
    stage.services["challenger"].ready_after = 2
    assert stage.controller().step(stage.name).words == "10 %"


def test_a_champion_whose_pods_do_not_change_is_taken_back_with_its_alias(stage: Stage, models: Models) -> None:
    controller = stage.controller()
    assert [controller.step(stage.name).words for _ in range(5)] == ALL_THE_WAY[:5]
    stage.services["champion"].version = None
    assert "cannot be judged yet" in controller.step(stage.name).words
    assert models.alias(stage.name, "champion") == "2"
    stage.changes["patience"] = 0.001
    assert stage.run() == ["rolled-back: version 2"]
    assert stage.serving("champion") == "1"
    assert models.alias(stage.name, "champion") == "1"
    assert (models.status(stage.name, "1"), models.status(stage.name, "2")) == ("serving", "rolled-back")


def test_a_first_version_that_fails_leaves_nothing_behind(stage: Stage, models: Models, remote: Remote) -> None:
    stage.name = stage.services.model = models.name()
    stage.promote()
    stage.services["challenger"] = Service(None)
    assert stage.run() == ["rolled-back: version 1"]
    assert stage.files() == []
    assert stage.name not in remote.read("dev/kustomization.yaml")[0]["resources"]


def test_the_rollbacks_commit_reads_well_and_says_what_it_reverts(stage: Stage, remote: Remote) -> None:
    controller = stage.controller()
    assert [controller.step(stage.name).words for _ in range(2)] == ["10 %", "25 %"]
    ten, quarter = remote.git("log", "-2", "--reverse", "--format=%H", "main").split()
    promoted = remote.git("rev-parse", "main~2")
    remote.somebody_pushes("dev/README", "about other things")
    stage.prometheus.errors, stage.prometheus.p95 = 0.06, 0.75
    controller.step(stage.name)
    assert (
        remote.git("log", "-1", "--format=%B", "main")
        == f"""Revert the rollout of {stage.name} version 2

At 25 % of the requests:
- error rate is 0.06, more than 0.05
- p95 in seconds is 0.75, more than 0.5

This reverts commit {quarter}.
This reverts commit {ten}.
This reverts commit {promoted}.
dev/{stage.name} is again what it was before them.

Groundwork-Model: {stage.name}
Groundwork-Version: 2
Groundwork-Rollout: rolled-back
Groundwork-Event: rollout-{quarter[:12]}-rolled-back"""
    )


def test_a_rollout_is_aborted_by_hand(stage: Stage, remote: Remote, models: Models) -> None:
    controller = stage.controller()
    controller.step(stage.name)
    assert controller.abort(stage.name, "aborted by hand").words == "rolled-back: version 2"
    assert "aborted by hand" in remote.git("log", "-1", "--format=%B", "main")
    assert stage.weights() == [100]
    assert models.status(stage.name, "2") == "rolled-back"


def test_a_newer_challenger_starts_from_nothing_and_may_follow_a_rolled_back_one(stage: Stage, models: Models) -> None:
    controller = stage.controller()
    controller.step(stage.name)
    assert stage.promote() == "3"
    stage.services["challenger"] = stage.services["champion"] = Service("3")
    assert stage.weights() == [100, 0]
    assert stage.run() == [*ALL_THE_WAY[:5], "settled: version 3"]
    assert models.alias(stage.name, "champion") == "3"


def test_what_people_edit_meanwhile_stays_but_does_not_keep_bad_weights(stage: Stage, remote: Remote) -> None:
    champion = f"dev/{stage.name}/champion.yaml"
    edited = remote.git("show", f"main:{champion}") + "\n# a person's remark\n"
    remote.somebody_pushes(champion, edited)
    controller = stage.controller()
    controller.step(stage.name)
    assert "a person's remark" in remote.git("show", f"main:{champion}")
    remote.somebody_pushes("dev/README", "about other things")
    stage.prometheus.errors = 0.5
    assert controller.step(stage.name).words == "rolled-back: version 2"
    assert stage.weights() == [100]
    assert "dev/README" in remote.files()


def test_a_challenger_that_nobody_promoted_needs_a_person(stage: Stage, remote: Remote) -> None:
    challenger = f"dev/{stage.name}/challenger.yaml"
    remote.somebody_pushes(challenger, remote.git("show", f"main:{challenger}").replace("'2'", "'7'"))
    with pytest.raises(RolloutError, match=r"promoted version 7 of .*remove its challenger\.yaml"):
        stage.controller().step(stage.name)
