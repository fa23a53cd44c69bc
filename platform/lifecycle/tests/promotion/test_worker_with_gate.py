"""The worker with the real gate: versions with missing or corrupt artifacts are rejected, tagged and not committed.

tests/gate proves that the gate lets a good model pass.
"""

from __future__ import annotations

from functools import partial

import pytest

from lifecycle.core import NotificationSettings
from lifecycle.core.names import HELD_OUT_PATH, SLICES_PATH
from lifecycle.gate import GateSettings, evaluate_version
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.promotion import Promotion
from support.registered_models import RegisteredModels


@pytest.mark.parametrize(
    ("artifact", "message"), [("missing", "missing from MLflow's store"), ("corrupt", "is unreadable")]
)
def test_a_version_without_a_sound_artifact_is_rejected(
    models: RegisteredModels,
    gitops: GitopsSettings,
    remote: GitRemote,
    notifications: JsonReceiver,
    inbox: Inbox,
    artifact: str,
    message: str,
) -> None:
    name = models.create()
    version = models.create_version(name)
    if artifact == "corrupt":
        models.client.log_text(models.run_id(name, version), "not Parquet", HELD_OUT_PATH)
        models.client.log_text(models.run_id(name, version), "[]", SLICES_PATH)
    gate = partial(evaluate_version, settings=GateSettings())
    promotion = Promotion(inbox, gitops, models.uri, gate, NotificationSettings(url=notifications.url))
    assert promotion.outcomes(("e1", name, version)) == ["rejected"], inbox.latest(1)
    assert models.status(name, version) == "rejected"
    assert remote.events() == []
    (notification,) = notifications.received
    assert message in notification["details"][0]
