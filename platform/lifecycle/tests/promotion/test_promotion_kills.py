"""A worker killed between any two steps of a promotion leaves, in the end, exactly one commit.

Proves it at every point, before and after each step that leaves a trace, by an exception that nothing catches, and by a
real SIGKILL of a real process. A machine that dies with its disk unsynced is not proven.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lifecycle.promotion.inbox import Inbox
from promotion_parts import PROCESSES, Models, Remote

from .mortal import POINTS, Killed, die_by_exception, die_by_signal, work


@pytest.mark.parametrize("weapon", ["exception", "SIGKILL"])
@pytest.mark.parametrize("point", POINTS)
def test_one_commit_stands_however_a_worker_died(
    tmp_path: Path, remote: Remote, models: Models, point: str, weapon: str
) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    name = models.name()
    version = models.version(name)
    inbox = Inbox(url)
    inbox.add("e1", name, version)

    if weapon == "exception":
        with pytest.raises(Killed):
            work(url, str(remote.path), models.uri, point, die_by_exception)
    else:
        process = PROCESSES.Process(target=work, args=(url, str(remote.path), models.uri, point, die_by_signal))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL

    work(url, str(remote.path), models.uri, "", die_by_exception)
    assert remote.events() == ["e1"]
    assert inbox.counts() == {"promoted": 1}
    assert models.status(name, version) == "rolling-out"
    inbox.close()
