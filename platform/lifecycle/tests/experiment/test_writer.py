"""The writer moves every record to the store, even if the store fails meanwhile.

Real: the spool, and SQLite as the store; a store that fails on purpose stands in front of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lifecycle.experiment.records import Record
from lifecycle.experiment.settings import WriterSettings
from lifecycle.experiment.spool import Spool
from lifecycle.experiment.sqlite_store import SqliteStore
from lifecycle.experiment.store import RejectedError, UnavailableError
from lifecycle.experiment.writer import Writer
from support.experiment import EXPERIMENT, SPOOL_BYTES, metric, prediction

SETTINGS = WriterSettings(batch_size=100, retry_delay=0.01, max_retry_delay=0.05)


class FailingStore(SqliteStore):
    """A store with a hook before each write."""

    before: Callable[[Sequence[Record]], None] = staticmethod(lambda _: None)

    def write(self, records: Sequence[Record]) -> None:
        self.before(records)
        super().write(records)


class Stop(threading.Event):
    """Remembers the delays that are waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.delays.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, SPOOL_BYTES)) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FailingStore]:
    with closing(FailingStore(str(tmp_path / "store.db"))) as opened:
        yield opened


def ids(store: SqliteStore) -> set[str]:
    return {result.request_id for result in store.read_results(EXPERIMENT)}


def test_waiting_records_are_written_in_batches(spool: Spool, store: FailingStore) -> None:
    sizes: list[int] = []
    store.before = lambda records: sizes.append(len(records))
    spool.add([prediction(f"r{number}") for number in range(250)])
    written = metric("groundwork_experiment_written_records_total", kind="prediction")
    Writer(SETTINGS, spool, store).run(threading.Event(), until_empty=True)
    assert sizes == [100, 100, 50]
    assert len(ids(store)) == 250
    assert spool.measure().records == 0
    assert metric("groundwork_experiment_written_records_total", kind="prediction") == written + 250


def test_an_unavailable_store_is_retried_with_growing_delays_and_nothing_is_lost(
    spool: Spool, store: FailingStore
) -> None:
    failures = iter(range(8))

    def fail(_: Sequence[Record]) -> None:
        if next(failures, None) is not None:
            raise UnavailableError("away")

    store.before = fail
    spool.add([prediction(f"r{number}") for number in range(250)])
    failed = metric("groundwork_experiment_write_failures_total", reason="unavailable")
    stop = Stop()
    Writer(SETTINGS, spool, store).run(stop, until_empty=True)
    assert len(ids(store)) == 250
    assert len(stop.delays) == 8
    assert all(delay <= 0.05 for delay in stop.delays)
    assert stop.delays[0] <= 0.01 < 0.025 <= stop.delays[-1]
    assert metric("groundwork_experiment_write_failures_total", reason="unavailable") == failed + 8


def test_the_writer_waits_as_long_as_a_throttling_store_requests(spool: Spool, store: FailingStore) -> None:
    def throttle(_: Sequence[Record]) -> None:
        store.before = lambda _: None
        raise UnavailableError("slow down", "throttled", retry_after=7.5)

    store.before = throttle
    spool.add([prediction()])
    stop = Stop()
    Writer(SETTINGS, spool, store).run(stop, until_empty=True)
    assert stop.delays == [7.5]
    assert ids(store) == {"r1"}


def test_a_record_that_the_store_rejects_does_not_hold_up_the_others(spool: Spool, store: FailingStore) -> None:
    def reject(records: Sequence[Record]) -> None:
        if prediction("r13") in records:
            raise RejectedError("too strange")

    store.before = reject
    spool.add([prediction(f"r{number}") for number in range(100)])
    lost = metric("groundwork_experiment_lost_records_total", kind="prediction", reason="rejected")
    Writer(SETTINGS, spool, store).run(threading.Event(), until_empty=True)
    assert ids(store) == {f"r{number}" for number in range(100)} - {"r13"}
    assert metric("groundwork_experiment_lost_records_total", kind="prediction", reason="rejected") == lost + 1


def test_a_writer_that_dies_between_store_and_spool_writes_again_and_changes_nothing(
    spool: Spool, store: FailingStore
) -> None:
    spool.add([prediction(f"r{number}") for number in range(10)])
    store.write([entry.record for entry in spool.read(10)])  # and then it died
    Writer(SETTINGS, spool, store).run(threading.Event(), until_empty=True)
    assert len(list(store.read_results(EXPERIMENT))) == 10


def test_a_writer_stops_on_request_and_the_rest_waits(spool: Spool, store: FailingStore) -> None:
    stop = threading.Event()
    store.before = lambda _: stop.set()
    spool.add([prediction(f"r{number}") for number in range(250)])
    Writer(SETTINGS, spool, store).run(stop)
    assert (len(ids(store)), spool.measure().records) == (100, 150)


def test_the_backlog_is_in_the_metrics(spool: Spool, store: FailingStore) -> None:
    def away(_: Sequence[Record]) -> None:
        stop.set()
        raise UnavailableError("away")

    stop = threading.Event()
    store.before = away
    spool.add([prediction(f"r{number}") for number in range(250)])
    Writer(SETTINGS, spool, store).run(stop)
    assert metric("groundwork_experiment_spool_records") == 250
    assert metric("groundwork_experiment_spool_bytes") > 50_000
