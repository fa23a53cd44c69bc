"""Moves records from the spool to the store, in its own process: its work never delays a request.

A record is removed from the spool only after the store has it, so a writer that was killed repeats some writes, which
changes nothing. If a store is unavailable or throttles, writes are retried for as long as necessary.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from lifecycle.core.backoff import choose_delay
from lifecycle.experiment import metrics
from lifecycle.experiment.settings import WriterSettings
from lifecycle.experiment.spool import Entry, Spool, SpoolError
from lifecycle.experiment.store import RejectedError, Store, UnavailableError

_log = logging.getLogger(__name__)


class Writer:
    """Empties one spool into one store."""

    def __init__(self, settings: WriterSettings, spool: Spool, store: Store) -> None:
        self._settings = settings
        self._spool = spool
        self._store = store
        self._failures = 0

    def run(self, stop: threading.Event, beat: Callable[[], None] = lambda: None, *, until_empty: bool = False) -> None:
        """Write until stopped, or until nothing waits; `beat` is called in each iteration."""
        while not stop.is_set():
            beat()
            delay = self._turn()
            if delay is None:
                if until_empty:
                    return
                delay = self._settings.poll_interval
            if delay:
                stop.wait(delay)

    def _turn(self) -> float | None:
        """Write one batch. Returns the seconds until the next; None when nothing waits."""
        try:
            entries = self._spool.read(self._settings.batch_size)
            self._measure()
            if not entries:
                return None
            self._write(entries)
        except UnavailableError as error:
            return self._back_off(str(error), error.reason, error.retry_after)
        except SpoolError as error:
            return self._back_off(str(error), "spool", 0.0)
        if self._failures:
            _log.warning("The store accepts records again")
        self._failures = 0
        return 0.0

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write records, and remove those from the spool that the store has accepted, or will never accept."""
        try:
            self._store.write([entry.record for entry in entries])
        except RejectedError as error:
            if len(entries) > 1:  # the others of the batch are written
                self._write(entries[: len(entries) // 2])
                self._write(entries[len(entries) // 2 :])
                return
            kind = entries[0].record.kind
            metrics.LOST.labels(kind, "rejected").inc()
            _log.error("The store rejected a record (%s), which is lost: %s", kind, error)
        else:
            for kind, count in Counter(entry.record.kind for entry in entries).items():
                metrics.WRITTEN.labels(kind).inc(count)
        self._spool.remove(entries)

    def _back_off(self, problem: str, reason: str, retry_after: float) -> float:
        metrics.WRITE_FAILURES.labels(reason).inc()
        if not self._failures:
            _log.error("Records wait in the spool: %s", problem)
        delay = choose_delay(self._settings.retry_delay, self._failures, self._settings.max_retry_delay)
        self._failures += 1
        return max(delay, retry_after)

    def _measure(self) -> None:
        backlog = self._spool.measure()
        metrics.SPOOL_RECORDS.set(backlog.records)
        metrics.SPOOL_BYTES.set(backlog.bytes)
        metrics.SPOOL_AGE.set(backlog.age)
