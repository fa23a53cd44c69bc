"""Adds records to the spool in its own thread, several in one transaction, so a request never waits for the disk."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from lifecycle.experiment import metrics
from lifecycle.experiment.records import Record
from lifecycle.experiment.spool import Spool, SpoolError, SpoolFullError

_MAX_QUEUE = 10_000  # entries that wait for the disk
_MAX_BATCH = 100  # entries in one transaction: while it is prepared, for some 100 microseconds, requests wait
_COLLECT = 0.02  # seconds in which a transaction collects entries, and which a killed process loses at most

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    """Records that are added together. A caller that waits for `added` repeats what failed; None if nobody waits."""

    records: Sequence[Record]
    added: Future[None] | None = None


class Recorder:
    """Started with the router. Records that cannot be added are counted, and logged once."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        # A queue with methods in C: the methods of queue.Queue would take more time than the records themselves.
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._is_healthy = True
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(self, *records: Record) -> None:
        """Never blocks and never raises. Like the other methods, it must be called in the event loop's thread."""
        if self._is_full():
            self._count_lost(records, "queue-full", "the disk is slower than the requests")
        else:
            self._queue.put(_Entry(records))

    async def record_durably(self, records: Sequence[Record]) -> None:
        """Returns when the records are in the spool. If it raises SpoolError, the sender has to repeat them."""
        if self._is_full():
            raise SpoolFullError("the disk of the spool is slower than the requests")
        added: Future[None] = Future()
        self._queue.put(_Entry(records, added))
        await asyncio.wrap_future(added)

    def close(self, seconds: float) -> None:
        """Add the waiting records, for at most `seconds`."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _is_full(self) -> bool:
        return self._queue.qsize() >= _MAX_QUEUE

    def _run(self) -> None:
        """The thread's target."""
        while (batch := self._next_batch()) is not None:
            self._add(batch)
        self._spool.close()

    def _next_batch(self) -> list[_Entry] | None:
        """The entries that arrive while a batch is collected; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        time.sleep(_COLLECT)
        batch = [first]
        while len(batch) < _MAX_BATCH and not self._queue.empty():
            entry = self._queue.get()
            if entry is None:
                self._queue.put(None)  # the end, for the next call
                break
            batch.append(entry)
        return batch

    def _add(self, batch: Sequence[_Entry]) -> None:
        try:
            self._spool.add(record for entry in batch for record in entry.records)
        except SpoolError as error:
            if len(batch) > 1:  # add as many as still fit
                self._add(batch[: len(batch) // 2])
                self._add(batch[len(batch) // 2 :])
            else:
                self._fail(batch[0], error)
            return
        for entry in batch:
            if entry.added is not None and entry.added.set_running_or_notify_cancel():
                entry.added.set_result(None)
        if not self._is_healthy:
            self._is_healthy = True
            _log.warning("Records are added to the spool again")

    def _fail(self, entry: _Entry, error: SpoolError) -> None:
        if entry.added is None:
            reason = "spool-full" if isinstance(error, SpoolFullError) else "spool"
            self._count_lost(entry.records, reason, str(error))
        elif entry.added.set_running_or_notify_cancel():
            entry.added.set_exception(error)

    def _count_lost(self, records: Sequence[Record], reason: str, detail: str) -> None:
        for record in records:
            metrics.LOST.labels(record.kind, reason).inc()
        if self._is_healthy:
            self._is_healthy = False
            _log.error("Records are lost; requests are still answered: %s", detail)
