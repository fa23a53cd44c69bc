"""The spool keeps added records when a process ends, up to its limit; the recorder never delays a request.

Proven with real files and processes. Not proven: that nothing is lost in a power failure; the last transactions may be.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lifecycle.experiment.recorder import Recorder
from lifecycle.experiment.records import Record
from lifecycle.experiment.spool import Spool, SpoolError, SpoolFullError
from support.experiment import SPOOL_BYTES, assignment, fill, metric, outcome, prediction
from support.waiting import eventually

RECORDS: list[Record] = [assignment(), prediction(), outcome()]
LOST = "groundwork_experiment_lost_records_total"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, SPOOL_BYTES)) as opened:
        yield opened


def test_records_are_read_in_the_order_in_which_they_were_added(spool: Spool, tmp_path: Path) -> None:
    spool.add(RECORDS)
    spool.add([prediction("r2")])
    with closing(Spool(tmp_path, SPOOL_BYTES)) as other:
        first = other.read(3)
        assert [entry.record for entry in first] == RECORDS
        other.remove(first)
    assert [entry.record for entry in spool.read(10)] == [prediction("r2")]


@pytest.mark.process
def test_a_killed_process_loses_nothing_that_it_has_added(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from lifecycle.experiment.spool import Spool
from support.experiment import prediction
spool = Spool(Path(sys.argv[1]), 1 << 22)
for number in range(100):
    spool.add([prediction(f"r{number}")])
print("added", flush=True)
time.sleep(600)
"""
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"added\n"
        process.send_signal(signal.SIGKILL)
    with closing(Spool(tmp_path, SPOOL_BYTES)) as spool:
        assert len(spool.read(1000)) == 100


def test_a_full_spool_rejects_new_records_and_retains_waiting_ones(spool: Spool, tmp_path: Path) -> None:
    added = fill(spool)
    size = (tmp_path / "spool.db").stat().st_size
    assert 0.9 * SPOOL_BYTES < size <= SPOOL_BYTES
    assert spool.read(1)[0].record == prediction("r0", response="x" * 1000)
    spool.remove(spool.read(added // 2))
    assert fill(spool) >= added // 2 - 1, "there is room again"
    assert (tmp_path / "spool.db").stat().st_size <= SPOOL_BYTES


def test_the_bound_is_the_same_for_a_spool_that_exists(spool: Spool, tmp_path: Path) -> None:
    fill(spool)
    with closing(Spool(tmp_path, SPOOL_BYTES)) as other, pytest.raises(SpoolFullError):
        other.add([prediction(response="x" * 2000) for _ in range(100)])


def test_the_backlog_is_measured(spool: Spool) -> None:
    empty = spool.measure()
    assert (empty.records, empty.age) == (0, 0.0)
    spool.add([prediction(f"r{number}", response="x" * 1000) for number in range(1000)])
    backlog = spool.measure()
    assert backlog.records == 1000
    assert 1_000_000 < backlog.bytes < 3_000_000
    spool.remove(spool.read(400))
    assert spool.measure().records == 600
    assert eventually(lambda: spool.measure().age)
    spool.remove(spool.read(600))
    assert spool.measure().bytes < 100_000, "only the bytes in use"


def test_a_damaged_spool_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"this is not a database" * 1000)
    with closing(Spool(tmp_path, SPOOL_BYTES)) as spool:
        spool.add(RECORDS)
        assert len(spool.read(10)) == 3
    (aside,) = tmp_path.glob("spool.db.damaged-*")
    assert aside.read_bytes().startswith(b"this is not a database")


def test_a_folder_that_cannot_be_created_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be used"):
        Spool(tmp_path / "file" / "folder", SPOOL_BYTES)


def test_recorded_entries_are_in_the_spool_after_close(spool: Spool, tmp_path: Path) -> None:
    recorder = Recorder(Spool(tmp_path, SPOOL_BYTES))
    for number in range(3000):
        recorder.record(prediction(f"r{number}"))
    recorder.close(60)
    assert len(spool.read(5000)) == 3000


def test_a_request_does_not_wait_for_a_locked_spool(spool: Spool, tmp_path: Path) -> None:
    """Another process holds the lock: recording still returns at once, and all is added afterwards."""
    recorder = Recorder(Spool(tmp_path, SPOOL_BYTES))
    with closing(sqlite3.connect(tmp_path / "spool.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.perf_counter()
        for number in range(1000):
            recorder.record(prediction(f"r{number}"))
        assert time.perf_counter() - started < 5, "half of the lock's timeout"
        other.rollback()
    recorder.close(60)
    assert len(spool.read(5000)) == 1000


def test_records_that_fit_are_added_and_the_others_counted(spool: Spool, tmp_path: Path) -> None:
    """In one batch, of which the spool accepts a part."""
    added = fill(spool)
    spool.remove(spool.read(200))
    recorder = Recorder(Spool(tmp_path, SPOOL_BYTES))
    lost = metric(LOST, kind="prediction", reason="spool-full")
    for number in range(400):
        recorder.record(prediction(f"new-{number}", response="x" * 1000))
    recorder.close(60)
    found = [entry.record for entry in spool.read(2 * added)]
    new = sum(record.request_id.startswith("new-") for record in found if not hasattr(record, "bucket"))
    assert new >= 190
    assert metric(LOST, kind="prediction", reason="spool-full") - lost == 400 - new
    assert len(found) == added - 200 + new


def test_a_sender_that_waits_gets_the_error_and_nothing_counts_as_lost(spool: Spool, tmp_path: Path) -> None:
    fill(spool)
    recorder = Recorder(Spool(tmp_path, SPOOL_BYTES))
    lost = metric(LOST, kind="outcome", reason="spool-full")
    with pytest.raises(SpoolFullError):
        asyncio.run(recorder.record_durably([outcome(f"r{number}") for number in range(1000)]))
    assert metric(LOST, kind="outcome", reason="spool-full") == lost
    recorder.close(60)


def test_a_sender_that_disconnects_does_not_stop_the_recorder(spool: Spool, tmp_path: Path) -> None:
    recorder = Recorder(Spool(tmp_path, SPOOL_BYTES))

    async def send_and_leave() -> None:
        task = asyncio.create_task(recorder.record_durably([outcome("left")]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(send_and_leave())
    asyncio.run(recorder.record_durably([outcome("stayed")]))
    recorder.close(60)
    assert outcome("stayed") in [entry.record for entry in spool.read(10)]


def test_a_queue_that_the_disk_does_not_empty_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.experiment.recorder._MAX_QUEUE", 10)
    is_adding, released = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        is_adding.set()
        released.wait(60)

    spool = Spool(tmp_path, SPOOL_BYTES)
    monkeypatch.setattr(spool, "add", hang)
    recorder = Recorder(spool)
    lost = metric(LOST, kind="prediction", reason="queue-full")
    recorder.record(prediction())
    assert is_adding.wait(60)
    for _ in range(15):
        recorder.record(prediction())
    assert metric(LOST, kind="prediction", reason="queue-full") - lost == 5
    with pytest.raises(SpoolFullError):
        asyncio.run(recorder.record_durably([outcome()]))
    released.set()
    recorder.close(60)
