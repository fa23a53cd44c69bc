"""The worker with the real gate: artifacts that are missing or corrupt are rejections, told and tagged, and no commit.

That the gate lets a good model pass is proven with the training's tests.
"""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.registry import Registry
from lifecycle.promotion.settings import NotifySettings, WorkerSettings
from lifecycle.promotion.worker import Worker
from lifecycle.training.gate import judge
from lifecycle.training.settings import GateSettings
from promotion_parts import Listener, Models, Remote


@pytest.mark.parametrize("artifact", ["missing", "corrupt"])
def test_a_version_without_a_sound_artifact_is_rejected(
    models: Models, gitops: GitopsSettings, remote: Remote, listener: Listener, tmp_path: Path, artifact: str
) -> None:
    name = models.name()
    version = models.version(name)
    run = models.client.get_model_version(name, version).run_id
    if artifact == "corrupt":
        models.client.log_text(run, "no parquet", "evaluation/held-out.parquet")
        models.client.log_text(run, "[]", "evaluation/slices.json")
    inbox, publisher = Inbox(f"sqlite:///{tmp_path}/inbox.db"), Publisher(gitops)
    inbox.add("e1", name, version)
    gate, notifier = partial(judge, settings=GateSettings()), Notifier(NotifySettings(url=listener.url))
    worker = Worker(WorkerSettings(), inbox, Registry(models.uri), gate, publisher, notifier, "dev")
    worker.run(threading.Event(), until_idle=True)
    assert inbox.counts() == {"rejected": 1}, inbox.newest(1)
    assert models.status(name, version) == "rejected"
    assert remote.events() == []
    (news,) = listener.heard
    assert {"missing": "missing from MLflow's store", "corrupt": "cannot be read"}[artifact] in news["details"][0]
    inbox.close()
