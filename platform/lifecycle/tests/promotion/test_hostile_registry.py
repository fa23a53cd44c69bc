"""Names and tags that anybody can write to the registry, through the worker to a real repository and to Slack.

Proves that a hostile name is rejected with the rule, that a hostile tag leads to one commit with only the intended
trailers and manifests, and that other models are still promoted. Not included: text that MLflow itself does not store.
"""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from lifecycle.core import NotificationSettings
from lifecycle.core.names import DATA_VERSION_TAG, GIT_COMMIT_TAG
from lifecycle.core.text import to_line
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.promotion import Promotion, passing_gate
from support.registered_models import RegisteredModels

HOSTILE = {
    "newline": "x\ny",
    "trailer": "x\n\nGroundwork-Rollout: 10\nGroundwork-Event: other",
    "signature": "x\n\nCo-authored-by: Eve <eve@localhost>",
    "NUL": "x\0y",
    "escape": "\x1b]0;x\x07\x1b[2J",
    "right to left": "\u202egnp.exe",
    "jndi": "${jndi:ldap://localhost/x}",
    "anchor": "&a [*a, *a]",
    "tag": "!!python/object/apply:os.system [id]",
    "document": "x\n---\nkind: Pod",
    "long": "x" * 5000,
    "option": "--upload-pack=touch /tmp/x",
    "path": "../../stacks/prod/wine",
    "reference": "refs/heads/main:x",
    "mention": "<!channel> *pay now* & `x`",
    "link": "<http://localhost|here>",
    "quotes": "'\"\\`$(id)",
    "emoji": "\U0001f377\ufe0f",
    "blank": " ",
}


@pytest.fixture
def promotion(inbox: Inbox, gitops: GitopsSettings, models: RegisteredModels, notifications: JsonReceiver) -> Promotion:
    settings = NotificationSettings(slack_url=notifications.url)
    return Promotion(inbox, gitops, models.uri, passing_gate, settings)


def test_hostile_names_are_rejected_and_others_are_promoted(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver
) -> None:
    stored = {case: name for case, name in HOSTILE.items() if create(models, name)}
    assert {"newline", "right to left", "anchor", "long", "mention"} <= stored.keys(), "MLflow stores these"
    events = {case: (case, name, models.create_version(name)) for case, name in stored.items()}
    sound = models.create()
    outcomes = promotion.outcomes(*events.values(), ("sound", sound, models.create_version(sound)))
    assert outcomes == ["rejected"] * len(events) + ["promoted"]
    assert remote.events() == ["sound"]
    assert {path.split("/")[2] for path in remote.files()} == {"kustomization.yaml", sound}
    rejections = [message["text"] for message in notifications.received if ": rejected" in message["text"]]
    assert len(rejections) == len(events)
    for text in rejections:
        assert "register the model under such a name" in text
        assert not {"<", ">"} & set(text)
        assert text.count("\n") == 1, "a line for the version, and one for the reason"
        assert text.replace("\n", "").isprintable()


def test_hostile_tags_are_one_commit_each_with_the_intended_content(
    promotion: Promotion, models: RegisteredModels, remote: GitRemote
) -> None:
    events = []
    for case, text in HOSTILE.items():
        name = models.create()
        version = models.create_version(name)
        for tag in (DATA_VERSION_TAG, GIT_COMMIT_TAG):
            models.client.set_model_version_tag(name, version, tag, text)
        events.append((f"e-{case.replace(' ', '-')}", name, version))
    assert promotion.outcomes(*events) == ["promoted"] * len(events)
    assert sorted(remote.events()) == sorted(event for event, _, _ in events)
    for (_, name, version), text in zip(events, HOSTILE.values(), strict=True):
        (sha,) = remote.git("log", "--format=%H", "main", "--", f"stacks/dev/{name}").split()
        trailers = remote.git("log", "-1", "--format=%(trailers:only,unfold)", sha).splitlines()
        keys = [line.partition(":")[0] for line in trailers]
        assert set(keys) <= {
            f"Groundwork-{key}" for key in ("Model", "Version", "Run-Id", "Data-Version", "Git-Commit", "Event")
        }
        assert len(keys) == len(set(keys)), trailers
        service, _ = remote.manifests(f"stacks/dev/{name}/generated/challenger.yaml")
        assert service["metadata"]["annotations"]["groundwork.dev/model"] == name
        assert service["metadata"]["annotations"].get("groundwork.dev/data-version", "") == to_line(text)
        assert service["metadata"]["labels"]["app.kubernetes.io/version"] == version


def create(models: RegisteredModels, name: str) -> bool:
    """Whether MLflow stores the name."""
    try:
        return bool(models.client.create_registered_model(name).name == name)
    except MlflowException as error:
        return str(error.error_code) == "RESOURCE_ALREADY_EXISTS"  # of an earlier run
