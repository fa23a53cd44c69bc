"""From an event in the inbox to commits in git and tags in MLflow, with a real MLflow server and a real repository.

Proves the worker's commits, tags and notifications, and that late and duplicate events lose nothing. The gates here
have fixed reports; test_worker_with_gate uses the real one. Failures are in test_worker_failures.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from lifecycle.core import (
    ModelRegistry,
    ModelVersion,
    NotificationSettings,
    RegisteredVersion,
)
from lifecycle.gate import GateReport
from lifecycle.gitops.publication import Publication
from lifecycle.gitops.repository import Change, Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.promotion import (
    FAILED,
    FAST_RETRIES,
    PASSED,
    Promotion,
    container_environment,
    failing_gate,
)
from support.registered_models import DATA_VERSION, GIT_COMMIT, RegisteredModels
from support.waiting import TIMEOUT, eventually


def test_a_version_that_passes_is_one_commit_with_its_lineage(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver
) -> None:
    name = models.create()
    version = models.create_version(name)
    assert promotion.outcomes(("e1", name, version)) == ["promoted"]

    assert remote.events() == ["e1"]
    assert remote.subjects()[-1] == f"Promote {name} version {version} to challenger"
    service, budget = remote.manifests(f"stacks/dev/{name}/generated/challenger.yaml")
    run_id = models.run_id(name, version)
    assert service["metadata"]["annotations"] == {
        "groundwork.dev/model": name,
        "groundwork.dev/version": version,
        "groundwork.dev/run-id": run_id,
        "groundwork.dev/data-version": DATA_VERSION,
        "groundwork.dev/git-commit": GIT_COMMIT,
    }
    assert service["metadata"]["labels"]["app.kubernetes.io/part-of"] == "groundwork"
    assert container_environment(service) == {"MODEL_NAME": name, "MODEL_VERSION": version}
    assert budget["kind"] == "PodDisruptionBudget"
    assert f"Groundwork-Run-Id: {run_id}" in remote.message()
    (stack,) = remote.manifests("stacks/dev/kustomization.yaml")
    assert (stack["resources"], stack["components"]) == ([f"{name}/generated"], [name])
    assert remote.manifests(f"stacks/dev/{name}/generated/kustomization.yaml")[0]["resources"] == [
        "challenger.yaml",
        "route.yaml",
    ]

    assert models.status(name, version) == "rolling-out"
    slack, plain = notifications.received
    commit = remote.git("rev-parse", "main")
    assert slack == {"text": f"{name} version {version} (dev): promoted\n• {commit}", "mrkdwn": False}
    assert plain == {
        "model": name,
        "version": version,
        "stack": "dev",
        "outcome": "promoted",
        "details": [commit],
    }


def test_a_challenger_beside_a_champion_gets_no_requests_yet(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote
) -> None:
    name = models.create()
    promotion.run(("e1", name, models.create_version(name)))
    champion = remote.read(f"stacks/dev/{name}/generated/challenger.yaml").replace("challenger", "champion")
    remote.push_file(f"stacks/dev/{name}/generated/champion.yaml", champion)
    assert promotion.outcomes(("e2", name, models.create_version(name))) == ["promoted"]
    (route,) = remote.manifests(f"stacks/dev/{name}/generated/route.yaml")
    backends = route["spec"]["rules"][0]["backendRefs"]
    assert [(backend["name"], backend["weight"]) for backend in backends] == [
        (f"{name}-champion-predictor", 100),
        (f"{name}-challenger-predictor", 0),
    ]
    assert remote.read(f"stacks/dev/{name}/generated/champion.yaml") == champion.strip()


def test_a_version_that_fails_the_gate_is_tagged_and_notified_but_not_committed(
    inbox: Inbox,
    gitops: GitopsSettings,
    models: RegisteredModels,
    remote: GitRemote,
    notifications: JsonReceiver,
) -> None:
    name = models.create()
    version = models.create_version(name)
    promotion = Promotion(inbox, gitops, models.uri, failing_gate, NotificationSettings(url=notifications.url))
    assert promotion.outcomes(("e1", name, version)) == ["rejected"]
    assert remote.events() == []
    assert models.status(name, version) == "rejected"
    assert notifications.received[0]["details"] == FAILED.reasons


def test_events_out_of_order_end_in_the_state_of_the_registry(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote
) -> None:
    name = models.create()
    first, second = models.create_version(name), models.create_version(name)
    assert promotion.outcomes(("e2", name, second), ("e1", name, first)) == ["promoted", "superseded"]
    assert remote.events() == ["e2"]


def test_a_duplicate_event_neither_creates_a_commit_nor_restarts_a_rollout(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver
) -> None:
    name = models.create()
    version = models.create_version(name)
    assert sorted(promotion.outcomes(("e1", name, version), ("e2", name, version))) == ["promoted", "unchanged"]
    route = remote.read(f"stacks/dev/{name}/generated/route.yaml").replace("weight: 100", "weight: 25")
    remote.push_file(f"stacks/dev/{name}/generated/route.yaml", route)
    assert promotion.outcomes(("e3", name, version)) == ["unchanged"]
    assert len(remote.events()) == 1
    assert remote.read(f"stacks/dev/{name}/generated/route.yaml") == route.strip()
    assert len(notifications.received) == 2, "only the promotion is sent, to two addresses"


def test_a_version_that_was_removed_by_others_can_be_promoted_again(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, gitops: GitopsSettings
) -> None:
    name = models.create()
    version = models.create_version(name)
    promotion.run(("e1", name, version))
    other = Repository(gitops)
    paths = [f"stacks/dev/{name}/generated/{file}" for file in ("challenger.yaml", "route.yaml", "kustomization.yaml")]
    other.commit([Change("removed", "Remove it", lambda _: dict.fromkeys(paths))])
    other.close()
    assert promotion.outcomes(("e2", name, version)) == ["promoted"]
    assert remote.events() == ["e1", "removed", "e2"]


@pytest.mark.parametrize("case", ["no alias", "alias on another version", "no such model"])
def test_an_event_that_the_registry_does_not_confirm_changes_nothing(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, case: str
) -> None:
    name = models.create()
    version = models.create_version(name, alias="" if case == "no alias" else "challenger")
    if case == "alias on another version":
        models.create_version(name)
    requested = "no-such-model" if case == "no such model" else name
    assert promotion.outcomes(("e1", requested, version)) == ["superseded"]
    assert remote.events() == []


@pytest.mark.parametrize("name", ["Wine_Quality", "wine..quality", "w" * 43, "0wine"])
def test_a_model_whose_name_is_not_valid_for_a_service_is_rejected_with_the_rule(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver, name: str
) -> None:
    models.client.create_registered_model(name)
    version = models.create_version(name)
    assert promotion.outcomes(("e1", name, version)) == ["rejected"]
    assert "register the model under such a name" in notifications.received[0]["text"]
    assert models.status(name, version) == "rejected"
    assert remote.events() == []


def test_a_slow_gate_does_not_delay_other_events(
    inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, remote: GitRemote
) -> None:
    slow, quick = models.create(), models.create()
    release = threading.Event()

    def gate(registry: ModelRegistry, model: str, version: str) -> GateReport:  # noqa: ARG001
        return PASSED if model == quick or release.wait(TIMEOUT) else FAILED

    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings())
    inbox.add("slow", slow, models.create_version(slow))
    inbox.add("quick", quick, models.create_version(quick))
    with promotion.working(until_idle=True):
        eventually(lambda: remote.events() == ["quick"])
        release.set()
    assert remote.events() == ["quick", "slow"]


def test_a_version_whose_gate_takes_longer_than_a_newer_ones_does_not_replace_it(
    inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, remote: GitRemote
) -> None:
    name = models.create()
    old = models.create_version(name)
    started, release = threading.Event(), threading.Event()

    def gate(registry: ModelRegistry, model: str, version: str) -> GateReport:  # noqa: ARG001
        started.set()
        return PASSED if version != old or release.wait(TIMEOUT) else FAILED

    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings())
    inbox.add("old", name, old)
    with promotion.working(until_idle=True):
        assert started.wait(TIMEOUT)
        inbox.add("new", name, models.create_version(name))
        eventually(lambda: remote.events() == ["new"])
        release.set()
    assert remote.events() == ["new"]
    assert inbox.counts() == {"promoted": 1, "superseded": 1}


def test_no_more_versions_are_evaluated_at_a_time_than_the_settings_allow(
    inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels
) -> None:
    concurrency = FAST_RETRIES.gate_concurrency
    lock, full, running, most = threading.Lock(), threading.Barrier(concurrency), 0, 0

    def gate(*_: object) -> GateReport:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(TIMEOUT)  # until as many as are allowed are in here
        with lock:
            running -= 1
        return FAILED

    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings())
    names = [models.create() for _ in range(concurrency * 2)]
    events = [(f"e-{name}", name, models.create_version(name)) for name in names]
    assert set(promotion.outcomes(*events)) == {"rejected"}
    assert most == concurrency


def test_events_are_examined_while_a_push_is_running(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = models.create(), models.create()
    examined, find_by_alias = threading.Event(), promotion.registry.find_by_alias
    publish, was_examined = promotion.publisher.publish, []

    def find(model: str, alias: str) -> RegisteredVersion | None:
        if model == second:
            examined.set()
        return find_by_alias(model, alias)

    def publish_slowly(promotions: Mapping[str, ModelVersion]) -> Mapping[str, Publication]:
        if "e1" in promotions:
            promotion.inbox.add("e2", second, models.create_version(second))
            was_examined.append(examined.wait(TIMEOUT))
        return publish(promotions)

    monkeypatch.setattr(promotion.registry, "find_by_alias", find)
    monkeypatch.setattr(promotion.publisher, "publish", publish_slowly)
    assert promotion.outcomes(("e1", first, models.create_version(first))) == ["promoted"]
    assert was_examined == [True]
    assert remote.events() == ["e1", "e2"]
