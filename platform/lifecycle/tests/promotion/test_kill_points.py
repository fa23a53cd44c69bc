"""A worker killed between any two steps of a promotion leaves, in the end, exactly one commit.

Proven before and after each step with an effect, by an exception that nothing catches, and by SIGKILL of a process. Not
proven: a machine that fails with unsynced data.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lifecycle.promotion.inbox import Inbox
from support.git_remote import GitRemote
from support.processes import PROCESSES
from support.promotion_kill_points import KILL_POINTS, Killed, kill_process, raise_killed, run_worker
from support.registered_models import RegisteredModels
from support.waiting import TIMEOUT

# With SIGKILL, the same points differ only in what the operating system closes: the normal run has only two of them.
_SIGKILL_POINTS = [
    pytest.param(point, marks=[] if point.endswith("push") else pytest.mark.soak) for point in KILL_POINTS
]


@pytest.fixture
def name(models: RegisteredModels) -> str:
    return models.create()


def assert_promoted_once(
    inbox: Inbox, remote: GitRemote, models: RegisteredModels, url: str, name: str, version: str
) -> None:
    """Another worker finishes the events that the killed one has left."""
    run_worker(url, str(remote.path), models.uri, "", raise_killed)
    assert remote.events() == ["e1"]
    assert inbox.counts() == {"promoted": 1}
    assert models.status(name, version) == "rolling-out"


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_worker_that_ends_at_any_point_leaves_one_commit(
    tmp_path: Path, inbox: Inbox, remote: GitRemote, models: RegisteredModels, name: str, point: str
) -> None:
    url, version = f"sqlite:///{tmp_path}/inbox.db", models.create_version(name)
    inbox.add("e1", name, version)
    with pytest.raises(Killed):
        run_worker(url, str(remote.path), models.uri, point, raise_killed)
    assert_promoted_once(inbox, remote, models, url, name, version)


@pytest.mark.parametrize("point", _SIGKILL_POINTS)
def test_a_worker_that_is_killed_at_any_point_leaves_one_commit(
    tmp_path: Path, inbox: Inbox, remote: GitRemote, models: RegisteredModels, name: str, point: str
) -> None:
    url, version = f"sqlite:///{tmp_path}/inbox.db", models.create_version(name)
    inbox.add("e1", name, version)
    process = PROCESSES.Process(target=run_worker, args=(url, str(remote.path), models.uri, point, kill_process))
    process.start()
    process.join(TIMEOUT)
    assert process.exitcode == -signal.SIGKILL
    assert_promoted_once(inbox, remote, models, url, name, version)
