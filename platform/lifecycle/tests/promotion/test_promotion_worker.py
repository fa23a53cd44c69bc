"""From an event in the inbox to what stands in git and in MLflow, with a real MLflow server and a real repository.

Proves what the worker commits, tags and tells, and that late, doubled and hopeless events and parts that are down cost
nothing. The gates here only say yes or no; the real one judges in test_promotion_gate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lifecycle.gitops.manifests import Lineage
from lifecycle.gitops.repository import Change, Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Event, Inbox
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Published, Publisher
from lifecycle.promotion.registry import Candidate, Registry
from lifecycle.promotion.settings import NotifySettings, WorkerSettings
from lifecycle.promotion.worker import Gate, Worker
from promotion_parts import Door, Listener, Models, Remote, Report, environment, failing, passing

SOON = WorkerSettings(pause=0.05, longest_pause=0.1, poll=0.02)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox(f"sqlite:///{tmp_path}/inbox.db")
    yield opened
    opened.close()


class Promotion:
    """A worker with its parts; `run` lets it work until nothing is due."""

    def __init__(self, inbox: Inbox, gitops: GitopsSettings, uri: str, gate: Gate, notify: NotifySettings) -> None:
        self.inbox = inbox
        self.publisher = Publisher(gitops)
        self.worker = Worker(SOON, inbox, Registry(uri), gate, self.publisher, Notifier(notify), gitops.environment)

    def run(self, *events: tuple[str, str, str]) -> list[Event | None]:
        for event in events:
            self.inbox.add(*event)
        self.worker.run(threading.Event(), until_idle=True)
        return [self.inbox.find(event[0]) for event in events]

    def outcomes(self, *events: tuple[str, str, str]) -> list[str]:
        return [event.outcome if event else "gone" for event in self.run(*events)]


@pytest.fixture
def promotion(inbox: Inbox, gitops: GitopsSettings, models: Models, listener: Listener) -> Promotion:
    notify = NotifySettings(slack_url=listener.url, url=listener.url)
    return Promotion(inbox, gitops, models.uri, passing, notify)


def test_a_version_that_passes_is_one_commit_with_its_lineage(
    promotion: Promotion, models: Models, remote: Remote, listener: Listener
) -> None:
    name = models.name()
    version = models.version(name)
    assert promotion.outcomes(("e1", name, version)) == ["promoted"]

    assert remote.events() == ["e1"]
    assert remote.subjects()[-1] == f"Promote {name} version {version} to challenger"
    service, budget = remote.read(f"dev/{name}/challenger.yaml")
    run = models.client.get_model_version(name, version).run_id
    assert service["metadata"]["annotations"] == {
        "groundwork.dev/model": name,
        "groundwork.dev/version": version,
        "groundwork.dev/run-id": run,
        "groundwork.dev/data-version": "data-7",
        "groundwork.dev/git-commit": "c0ffee",
    }
    assert service["metadata"]["labels"]["app.kubernetes.io/part-of"] == "groundwork"
    assert environment(service) == {"MODEL_NAME": name, "MODEL_VERSION": version}
    assert budget["kind"] == "PodDisruptionBudget"
    assert f"Groundwork-Run-Id: {run}" in remote.git("log", "-1", "--format=%B", "main")
    assert remote.read("dev/kustomization.yaml")[0]["resources"] == [name]
    assert remote.read(f"dev/{name}/kustomization.yaml")[0]["resources"] == ["challenger.yaml", "route.yaml"]

    assert models.status(name, version) == "rolling-out"
    slack, plain = listener.heard
    commit = remote.git("rev-parse", "main")
    assert slack == {"text": f"*{name}* version {version} (dev): promoted\n• {commit}"}
    assert (plain["model"], plain["version"], plain["outcome"], plain["details"]) == (
        name,
        version,
        "promoted",
        [commit],
    )


def test_beside_a_champion_a_challenger_gets_no_requests_yet(
    promotion: Promotion, models: Models, remote: Remote
) -> None:
    name = models.name()
    promotion.run(("e1", name, models.version(name)))
    champion = remote.git("show", f"main:dev/{name}/challenger.yaml").replace("challenger", "champion")
    remote.somebody_pushes(f"dev/{name}/champion.yaml", champion)
    assert promotion.outcomes(("e2", name, models.version(name))) == ["promoted"]
    (route,) = remote.read(f"dev/{name}/route.yaml")
    backends = route["spec"]["rules"][0]["backendRefs"]
    assert [(backend["name"], backend["weight"]) for backend in backends] == [
        (f"{name}-champion-predictor", 100),
        (f"{name}-challenger-predictor", 0),
    ]
    assert remote.git("show", f"main:dev/{name}/champion.yaml") == champion.strip()


def test_a_version_that_fails_the_gate_is_tagged_told_and_not_committed(
    inbox: Inbox, gitops: GitopsSettings, models: Models, remote: Remote, listener: Listener
) -> None:
    name = models.name()
    version = models.version(name)
    promotion = Promotion(inbox, gitops, models.uri, failing, NotifySettings(url=listener.url))
    assert promotion.outcomes(("e1", name, version)) == ["rejected"]
    assert remote.events() == []
    assert models.status(name, version) == "rejected"
    assert listener.heard[0]["details"] == ["accuracy 0.61 is below 0.9"]


def test_events_out_of_order_leave_what_the_registry_says(promotion: Promotion, models: Models, remote: Remote) -> None:
    name = models.name()
    first, second = models.version(name), models.version(name)
    assert promotion.outcomes(("e2", name, second), ("e1", name, first)) == ["promoted", "superseded"]
    assert remote.events() == ["e2"]


def test_a_doubled_event_is_one_commit_and_sets_no_rollout_back(
    promotion: Promotion, models: Models, remote: Remote, listener: Listener
) -> None:
    name = models.name()
    version = models.version(name)
    assert sorted(promotion.outcomes(("e1", name, version), ("e2", name, version))) == ["promoted", "unchanged"]
    route = remote.git("show", f"main:dev/{name}/route.yaml").replace("weight: 100", "weight: 25")
    remote.somebody_pushes(f"dev/{name}/route.yaml", route)
    assert promotion.outcomes(("e3", name, version)) == ["unchanged"]
    assert len(remote.events()) == 1
    assert remote.git("show", f"main:dev/{name}/route.yaml") == route.strip()
    assert len(listener.heard) == 2, "only the promotion is news, to two addresses"


def test_a_version_that_was_taken_back_elsewhere_may_be_promoted_again(
    promotion: Promotion, models: Models, remote: Remote, gitops: GitopsSettings
) -> None:
    name = models.name()
    version = models.version(name)
    promotion.run(("e1", name, version))
    elsewhere = Repository(gitops)
    paths = [f"dev/{name}/{file}" for file in ("challenger.yaml", "route.yaml", "kustomization.yaml")]
    elsewhere.commit([Change("taken back", "Take it back", lambda _: dict.fromkeys(paths))])
    elsewhere.close()
    assert promotion.outcomes(("e2", name, version)) == ["promoted"]
    assert remote.events() == ["e1", "taken back", "e2"]


@pytest.mark.parametrize("case", ["no alias", "alias elsewhere", "no such model"])
def test_an_event_that_the_registry_does_not_confirm_changes_nothing(
    promotion: Promotion, models: Models, remote: Remote, case: str
) -> None:
    name = models.name()
    version = models.version(name, alias="" if case == "no alias" else "challenger")
    if case == "alias elsewhere":
        models.version(name)
    asked = "nobodys-model" if case == "no such model" else name
    assert promotion.outcomes(("e1", asked, version)) == ["superseded"]
    assert remote.events() == []


@pytest.mark.parametrize("name", ["Wine_Quality", "wine..quality", "w" * 43, "0wine"])
def test_a_model_whose_name_cannot_name_a_service_is_rejected_with_the_rule(
    promotion: Promotion, models: Models, remote: Remote, listener: Listener, name: str
) -> None:
    models.client.create_registered_model(name)
    version = models.version(name)
    assert promotion.outcomes(("e1", name, version)) == ["rejected"]
    assert "register the model under such a name" in listener.heard[0]["text"]
    assert models.status(name, version) == "rejected"
    assert remote.events() == []


def test_a_registry_that_is_down_is_asked_again_and_nothing_is_lost(
    inbox: Inbox, gitops: GitopsSettings, models: Models, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    name = models.name()
    inbox.add("e1", name, models.version(name))
    with Door.before(models.uri) as door:
        door.shut = True
        promotion = Promotion(inbox, gitops, door.uri, passing, NotifySettings())
        stop = threading.Event()
        working = threading.Thread(target=promotion.worker.run, args=(stop,))
        working.start()
        try:
            until(lambda: (found := inbox.find("e1")) is not None and found.attempts >= 2)
            assert remote.events() == []
            door.shut = False
            until(lambda: bool(inbox.counts().get("promoted")))
        finally:
            stop.set()
            working.join()
    assert remote.events() == ["e1"]


def test_a_gate_that_breaks_is_asked_again_and_people_hear_of_it_once(
    inbox: Inbox, gitops: GitopsSettings, models: Models, remote: Remote, listener: Listener
) -> None:
    tries = 0

    def breaking(*_: object) -> Report:
        nonlocal tries
        tries += 1
        if tries <= 7:
            raise RuntimeError("the store does not answer")
        return Report(True)

    name = models.name()
    version = models.version(name)
    promotion = Promotion(inbox, gitops, models.uri, breaking, NotifySettings(url=listener.url))
    stop = threading.Event()
    inbox.add("e1", name, version)
    working = threading.Thread(target=promotion.worker.run, args=(stop,))
    working.start()
    until(lambda: bool(inbox.counts().get("promoted")))
    stop.set()
    working.join()
    assert [news["outcome"] for news in listener.heard] == ["stuck", "promoted"]
    assert listener.heard[0]["details"] == ["5 attempts; the last one: the store does not answer"]
    assert remote.events() == ["e1"]


def test_a_slow_gate_holds_up_nobody_else(inbox: Inbox, gitops: GitopsSettings, models: Models, remote: Remote) -> None:
    slow, quick = models.name(), models.name()
    release = threading.Event()

    def gate(client: MlflowClient, name: str, version: str) -> Report:  # noqa: ARG001
        return Report(name == quick or release.wait(120))

    promotion = Promotion(inbox, gitops, models.uri, gate, NotifySettings())
    inbox.add("slow", slow, models.version(slow))
    inbox.add("quick", quick, models.version(quick))
    working = threading.Thread(target=promotion.worker.run, args=(threading.Event(),), kwargs={"until_idle": True})
    working.start()
    until(lambda: remote.events() == ["quick"])
    release.set()
    working.join()
    assert remote.events() == ["quick", "slow"]


def test_a_version_whose_gate_outlasts_a_newer_ones_does_not_overwrite_it(
    inbox: Inbox, gitops: GitopsSettings, models: Models, remote: Remote
) -> None:
    name = models.name()
    old = models.version(name)
    judged, release = threading.Event(), threading.Event()

    def gate(client: MlflowClient, name: str, version: str) -> Report:  # noqa: ARG001
        judged.set()
        return Report(version != old or release.wait(120))

    promotion = Promotion(inbox, gitops, models.uri, gate, NotifySettings())
    inbox.add("old", name, old)
    working = threading.Thread(target=promotion.worker.run, args=(threading.Event(),), kwargs={"until_idle": True})
    working.start()
    assert judged.wait(60)
    inbox.add("new", name, models.version(name))
    until(lambda: remote.events() == ["new"])
    release.set()
    working.join()
    assert remote.events() == ["new"]
    assert inbox.counts() == {"promoted": 1, "superseded": 1}


def test_no_more_versions_are_at_the_gate_than_the_settings_say(
    inbox: Inbox, gitops: GitopsSettings, models: Models
) -> None:
    lock, inside, most = threading.Lock(), 0, 0

    def gate(*_: object) -> Report:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.1)
        with lock:
            inside -= 1
        return Report(False)

    promotion = Promotion(inbox, gitops, models.uri, gate, NotifySettings())
    names = [models.name() for _ in range(SOON.at_once * 2)]
    events = [(f"e-{name}", name, models.version(name)) for name in names]
    assert set(promotion.outcomes(*events)) == {"rejected"}
    assert most == SOON.at_once


@pytest.mark.parametrize("status", [404, 500])
def test_whoever_cannot_be_told_stops_no_promotion(
    promotion: Promotion,
    models: Models,
    remote: Remote,
    listener: Listener,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listener.status = status
    name = models.name()
    assert promotion.outcomes(("e1", name, models.version(name))) == ["promoted"]
    assert remote.events() == ["e1"]
    assert listener.url not in caplog.text, "a Slack address is a secret"


def test_an_address_that_does_not_answer_stops_no_promotion(
    inbox: Inbox, gitops: GitopsSettings, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    notify = NotifySettings(slack_url="http://127.0.0.1:9/T000/B000", url="no address at all")
    name = models.name()
    promotion = Promotion(inbox, gitops, models.uri, passing, notify)
    assert promotion.outcomes(("e1", name, models.version(name))) == ["promoted"]
    assert "could not be told" in caplog.text
    assert "T000" not in caplog.text


def test_a_remote_that_rejects_leaves_the_event_waiting_until_it_takes_it(
    promotion: Promotion, models: Models, remote: Remote, gitops: GitopsSettings
) -> None:
    hook = remote.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    name = models.name()
    version = models.version(name)
    promotion.publisher._settings = gitops.model_copy(update={"pushes": 1})
    (event,) = promotion.run(("e1", name, version))
    assert event is not None
    assert event.outcome == "waiting"
    assert "rejected 1 pushes" in event.detail
    assert models.status(name, version) == ""
    hook.unlink()
    until(lambda: bool(promotion.inbox.waiting(1)))
    promotion.run()
    assert remote.events() == ["e1"]
    assert models.status(name, version) == "rolling-out"


def test_a_folder_that_a_person_broke_holds_up_nobody_else(
    promotion: Promotion, models: Models, remote: Remote
) -> None:
    broken, sound = models.name(), models.name()
    remote.somebody_pushes(f"dev/{broken}/challenger.yaml", "metadata: [\n")
    promotion.inbox.add("broken", broken, models.version(broken))
    promotion.inbox.add("sound", sound, models.version(sound))
    stop = threading.Event()
    working = threading.Thread(target=promotion.worker.run, args=(stop,))
    working.start()
    try:
        until(lambda: remote.events() == ["sound"])
        words = f"dev/{broken} in the repository is not as promotions write it"
        until(lambda: (found := promotion.inbox.find("broken")) is not None and words in found.detail)
    finally:
        stop.set()
        working.join()


def test_events_are_examined_while_a_push_is_under_way(
    promotion: Promotion, models: Models, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = models.name(), models.name()
    examined, examine = threading.Event(), promotion.worker._registry.at
    publish, seen = promotion.publisher.publish, []

    def at(model: str, alias: str) -> Candidate | None:
        if model == second:
            examined.set()
        return examine(model, alias)

    def slow(promotions: Mapping[str, Lineage]) -> Mapping[str, Published]:
        if "e1" in promotions:
            promotion.inbox.add("e2", second, models.version(second))
            seen.append(examined.wait(60))
        return publish(promotions)

    monkeypatch.setattr(promotion.worker._registry, "at", at)
    monkeypatch.setattr(promotion.publisher, "publish", slow)
    assert promotion.outcomes(("e1", first, models.version(first))) == ["promoted"]
    assert seen == [True]
    assert remote.events() == ["e1", "e2"]


def until(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait for something that other threads do."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
