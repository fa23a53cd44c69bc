"""A rollout from the promotion's commit to the end, and back, on real git and a real MLflow.

Proves the order of commits, aliases and tags; that a bad, slow, dead or unmeasured challenger is taken back; that a
controller killed between any two steps is replaced by a new one with the same end. Services and Prometheus are
simulated here; the queries meet a real Prometheus in test_rollout_guardrails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lifecycle.gitops.repository import Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.registry import Registry
from lifecycle.promotion.settings import NotifySettings
from lifecycle.rollout.controller import Controller, RolloutError
from lifecycle.rollout.guardrails import Guardrails
from lifecycle.rollout.settings import RolloutSettings
from promotion_parts import Listener, Models, Remote, environment

from .simulated import Prometheus, Service, Services

ROWS = [{"a": number, "b": 0.5, "target": 1} for number in range(5)]
ALL_THE_WAY = ["10 %", "25 %", "50 %", "100 %", "adopted", "settled: version 2"]


class Stage:
    """A model with version 1 as champion and version 2 promoted, and everything that a controller meets."""

    def __init__(self, gitops: GitopsSettings, models: Models, remote: Remote, listener: Listener) -> None:
        self.gitops, self.models, self.remote, self.listener = gitops, models, remote, listener
        self.name = models.name()
        self.services = Services(self.name)
        self.prometheus = Prometheus()
        self.changes: dict[str, Any] = {}

    def promote(self, alias: str = "challenger") -> str:
        version = self.models.version(self.name, alias)
        candidate = self.models.client.get_model_version(self.name, version)
        publisher = Publisher(self.gitops)
        lineage = Registry(self.models.uri).version(self.name, version)
        assert lineage is not None
        publisher.publish({f"promote-{candidate.run_id}": lineage.lineage})
        publisher.close()
        return version

    def controller(self, wrap: Callable[[Any], Any] = lambda part: part) -> Controller:
        settings = RolloutSettings(
            **{
                "prometheus": self.prometheus.url,
                "service_url": self.services.url + "/{service}",
                "interval": 0,
                "ready_pause": 0.01,
                "ready_tries": 3,
                "p95": 0.5,
                **self.changes,
            }
        )
        guardrails = Guardrails(settings, lambda _, number: ROWS[:number])
        notifier = Notifier(NotifySettings(url=self.listener.url))
        registry = Registry(self.models.uri)
        return Controller(settings, wrap(Repository(self.gitops)), wrap(registry), guardrails, wrap(notifier))

    def run(self, controller: Controller | None = None, limit: int = 20) -> list[str]:
        controller = controller or self.controller()
        words: list[str] = []
        for _ in range(limit):
            step = controller.step(self.name)
            words.append(step.words)
            if step.done:
                return words
        return words

    def serving(self, role: str) -> str:
        return environment(self.remote.read(f"dev/{self.name}/{role}.yaml")[0])["MODEL_VERSION"]

    def weights(self) -> list[int]:
        (route,) = self.remote.read(f"dev/{self.name}/route.yaml")
        return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]

    def files(self) -> list[str]:
        return [file for file in self.remote.files() if file.startswith(f"dev/{self.name}/")]


@pytest.fixture
def stage(gitops: GitopsSettings, models: Models, remote: Remote, listener: Listener) -> Iterator[Stage]:
    made = Stage(gitops, models, remote, listener)
    with made.services.running(), made.prometheus.running():
        made.promote()
        made.services["challenger"] = made.services["champion"] = Service("1")
        assert made.run() == ["adopted", "settled: version 1"], "a first version has nobody to share with"
        made.promote()
        made.services["challenger"] = Service("2")
        made.services["champion"] = Service("2")  # once it has been adopted, which is when it is asked
        listener.heard.clear()
        yield made


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
    assert "10 % could not be judged" in remote.git("log", "-1", "--format=%B", "main")


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


def test_a_first_version_that_fails_leaves_nothing_behind(stage: Stage, models: Models, remote: Remote) -> None:
    stage.name = stage.services.model = models.name()
    stage.promote()
    stage.services["challenger"] = Service(None)
    assert stage.run() == ["rolled-back: version 1"]
    assert stage.files() == []
    assert stage.name not in remote.read("dev/kustomization.yaml")[0]["resources"]


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


class Killed(BaseException):
    """What a SIGKILL does to a controller: it ends between two calls, and nothing is cleaned up."""


class Mortal:
    """Counts calls that change something over all parts, and kills the controller before or after the n-th."""

    CHANGES = ("commit", "point", "withdraw", "mark", "tell")

    def __init__(self, deadly: int, after: bool) -> None:
        self.calls, self.deadly, self.after = 0, deadly, after

    def wrap(self, part: Any) -> Any:
        for name in self.CHANGES:
            if hasattr(part, name):
                setattr(part, name, self._watched(getattr(part, name)))
        return part

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls == self.deadly and not self.after:
                raise Killed
            answer = call(*arguments)
            if self.calls == self.deadly:
                raise Killed
            return answer

        return watched


@pytest.mark.parametrize("end", ["good", "bad"])
def test_a_controller_killed_between_any_two_steps_is_replaced_by_another(
    stage: Stage, remote: Remote, models: Models, end: str
) -> None:
    """Killed before and after every change it makes, one after the other, each time replaced: one commit per stage."""
    if end == "bad":
        stage.controller().step(stage.name)
        stage.prometheus.errors = 1.0
    deaths = 0
    for after in (False, True):
        for deadly in range(1, 4):
            for _ in range(12):
                try:
                    stage.run(stage.controller(Mortal(deadly, after).wrap), limit=1)
                except Killed:
                    deaths += 1
    expected = [*ALL_THE_WAY[:5], "settled"] if end == "good" else ["10 %", "rolled-back"]
    stage.run()
    stages = remote.git("log", "--reverse", "--format=%(trailers:key=Groundwork-Rollout,valueonly)", "main").split()
    assert deaths >= 3
    assert stages[2:] == [words.removesuffix(" %") for words in expected]
    assert models.alias(stage.name, "champion") == ("2" if end == "good" else "1")
    assert models.alias(stage.name, "challenger") == ""
    assert models.status(stage.name, "2") == ("serving" if end == "good" else "rolled-back")
