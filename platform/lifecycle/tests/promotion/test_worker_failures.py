"""How the worker handles failures of the registry, the store, the gate, the remote, and receivers of notifications.

Proves that outages lose no event, that hopeless events end with a reason, and that neither delays other models.
The registry and the repository are real; the gates have fixed reports or raise.
"""

from __future__ import annotations

import errno
import math

import pytest

from lifecycle.core import ModelVersion, NotificationSettings, RegistryError, UnreachableError
from lifecycle.gate import GateReport
from lifecycle.gitops.git import InvalidFileError
from lifecycle.gitops.publication import Publication
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.reconciliation import add_missed_events
from support.git_remote import GitRemote
from support.network import UNUSED_URL, JsonReceiver, TcpProxy
from support.promotion import FAST_RETRIES, PASSED, Promotion, passing_gate
from support.registered_models import RegisteredModels
from support.waiting import eventually


class RaisingGate:
    """A gate that raises in so many of its first calls, by default in all; later ones pass."""

    def __init__(self, error: Exception, failures: float = math.inf) -> None:
        self.calls = 0
        self._error = error
        self._failures = failures

    def __call__(self, *_: object) -> GateReport:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return PASSED


def test_an_event_is_retried_until_the_registry_is_back(
    inbox: Inbox,
    gitops: GitopsSettings,
    models: RegisteredModels,
    remote: GitRemote,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    name = models.create()
    inbox.add("e1", name, models.create_version(name))
    with TcpProxy.running(models.uri) as proxy:
        proxy.is_down = True
        promotion = Promotion(inbox, gitops, proxy.url, passing_gate, NotificationSettings())
        with promotion.working():
            eventually(lambda: (event := inbox.find("e1")) is not None and event.attempts >= 2)
            assert remote.events() == []
            proxy.is_down = False
            eventually(lambda: bool(inbox.counts().get("promoted")))
    assert remote.events() == ["e1"]


def test_a_store_that_does_not_answer_is_retried_and_people_are_notified_once(
    inbox: Inbox,
    gitops: GitopsSettings,
    models: RegisteredModels,
    remote: GitRemote,
    notifications: JsonReceiver,
) -> None:
    gate = RaisingGate(UnreachableError("the store does not answer"), failures=7)
    name = models.create()
    version = models.create_version(name)
    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings(url=notifications.url))
    inbox.add("e1", name, version)
    with promotion.working():
        eventually(lambda: bool(inbox.counts().get("promoted")))
    assert [notification["outcome"] for notification in notifications.received] == ["stuck", "promoted"]
    assert notifications.received[0]["details"] == ["5 attempts failed, the last one with: the store does not answer"]
    assert remote.events() == ["e1"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("Target is multiclass but average='binary'"), "ValueError: Target is multiclass"),
        (KeyError("target"), "KeyError: 'target'"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError: "),
        (FileNotFoundError(2, "No such file or directory"), "FileNotFoundError: "),
        (RegistryError("MLflow rejects the call: no such run"), "MLflow rejects the call: no such run"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_gate_that_raises_rejects_the_version_at_once_with_the_reason(
    inbox: Inbox,
    gitops: GitopsSettings,
    models: RegisteredModels,
    notifications: JsonReceiver,
    error: Exception,
    reason: str,
) -> None:
    gate = RaisingGate(error)
    name = models.create()
    version = models.create_version(name)
    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings(url=notifications.url))
    assert promotion.outcomes(("e1", name, version)) == ["rejected"]
    assert gate.calls == 1
    (notification,) = notifications.received
    assert notification["outcome"] == "rejected"
    assert notification["details"][0].startswith(f"The gate cannot evaluate it: {reason}")
    assert models.status(name, version) == "rejected"


@pytest.mark.parametrize(
    "error", [UnreachableError("no answer"), OSError(errno.ENOSPC, "No space left"), MemoryError()]
)
def test_an_event_whose_cause_does_not_pass_fails_in_the_end_and_is_not_added_again(
    inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, notifications: JsonReceiver, error: Exception
) -> None:
    gate = RaisingGate(error)
    name = models.create()
    version = models.create_version(name)
    settings = FAST_RETRIES.model_copy(update={"max_attempts": 3})
    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings(url=notifications.url), settings)
    inbox.add("e1", name, version)
    with promotion.working():
        eventually(lambda: bool(inbox.counts().get("failed")))
    assert gate.calls == 3
    (notification,) = notifications.received
    assert notification["outcome"] == "failed"
    assert notification["details"][0].startswith("3 attempts failed, the last one with: ")
    assert notification["details"][1] == f"`python -m lifecycle.promotion promote {name} {version}` tries again"
    assert ModelVersion(name, version) not in [
        ModelVersion(missed.model, missed.version) for missed in add_missed_events(promotion.registry, inbox)
    ]


@pytest.mark.parametrize("status", [404, 500])
def test_a_rejected_notification_does_not_stop_a_promotion(
    promotion: Promotion,
    models: RegisteredModels,
    remote: GitRemote,
    notifications: JsonReceiver,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    notifications.status = status
    name = models.create()
    assert promotion.outcomes(("e1", name, models.create_version(name))) == ["promoted"]
    assert remote.events() == ["e1"]
    assert notifications.url not in caplog.text, "a Slack address is a secret"


def test_an_address_that_does_not_answer_does_not_stop_a_promotion(
    inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, caplog: pytest.LogCaptureFixture
) -> None:
    settings = NotificationSettings(slack_url=f"{UNUSED_URL}/T000/B000", url="not an address")
    name = models.create()
    promotion = Promotion(inbox, gitops, models.uri, passing_gate, settings)
    assert promotion.outcomes(("e1", name, models.create_version(name))) == ["promoted"]
    assert "could not be sent to Slack" in caplog.text
    assert "T000" not in caplog.text


def test_an_event_waits_until_the_remote_accepts_its_push(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, gitops: GitopsSettings
) -> None:
    remote.install_hook("pre-receive", "exit 1")
    name = models.create()
    version = models.create_version(name)
    promotion.publisher._settings = gitops.model_copy(update={"push_attempts": 1})
    (event,) = promotion.run(("e1", name, version))
    assert event is not None
    assert event.outcome == "waiting"
    assert "rejected 1 pushes" in event.detail
    assert models.status(name, version) == ""
    (remote.path / "hooks" / "pre-receive").unlink()
    eventually(lambda: bool(promotion.inbox.due(1)))
    promotion.run()
    assert remote.events() == ["e1"]
    assert models.status(name, version) == "rolling-out"


def test_an_invalid_folder_does_not_delay_other_events(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote
) -> None:
    broken, sound = models.create(), models.create()
    remote.push_file(f"stacks/dev/{broken}/generated/challenger.yaml", "metadata: [\n")
    promotion.inbox.add("broken", broken, models.create_version(broken))
    promotion.inbox.add("sound", sound, models.create_version(sound))
    message = f"stacks/dev/{broken}/generated in the repository is not in the form that promotions write"
    with promotion.working():
        eventually(lambda: remote.events() == ["sound"])
        eventually(lambda: (event := promotion.inbox.find("broken")) is not None and message in event.detail)


def test_an_invalid_folder_in_the_same_push_does_not_delay_other_events(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote
) -> None:
    broken, sound = models.create(), models.create()
    remote.push_bytes(f"stacks/dev/{broken}/generated/challenger.yaml", b"\xff\xfe")
    promotions = {name: ModelVersion(name, models.create_version(name)) for name in (broken, sound)}
    published = promotion.publisher.publish(promotions)
    assert isinstance(published[broken], InvalidFileError)
    assert published[sound] == Publication(remote.git("rev-parse", "main"))
    assert remote.events() == [sound]


@pytest.mark.parametrize("tag", ["x\nGroundwork-Event: e2", "x\x1ey", "x\x00y"], ids=ascii)
def test_a_hostile_tag_does_not_stop_promotions_of_other_models(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, tag: str
) -> None:
    hostile, other = models.create(), models.create()
    version = models.create_version(hostile)
    models.client.set_model_version_tag(hostile, version, "groundwork.data_version", tag)
    assert promotion.outcomes(("e1", hostile, version)) == ["promoted"]
    promotion.publisher.close()  # another process reads the history anew
    assert promotion.outcomes(("e2", other, models.create_version(other))) == ["promoted"]
    assert remote.events() == ["e1", "e2"]
