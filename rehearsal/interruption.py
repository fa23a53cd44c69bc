"""Interrupts runs of a rehearsal, and inspects the state that they leave."""

from __future__ import annotations

import math
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

from kernel.engine_events import read_events
from rehearsal.console import UserError
from rehearsal.polling import wait_until
from rehearsal.session import Rehearsal
from rehearsal.simulator.core.state_store import StateStore

_INTERRUPTED = 130


def interrupt_at(process: subprocess.Popen[bytes], rehearsal: Rehearsal, reached: int, share: float) -> int:
    """Terminate a run, as CI does, once a share of all resources is created; returns the number created by then.

    `reached` is the number that earlier runs created: at least one more has to be created. Raises UserError if the run
    ends by itself, or does not stop cleanly.
    """

    def has_reached_share() -> bool:
        if process.poll() is not None:
            raise UserError("It failed: a run ended before it was interrupted; the reason is above.")
        total = _count_planned(rehearsal, reached)
        return total > 0 and _count_created(rehearsal) >= max(reached + 1, math.floor(total * share))

    wait_until(has_reached_share, timeout=math.inf)
    process.terminate()
    if (code := process.wait()) != _INTERRUPTED:
        raise UserError(f"It failed: an interrupted run ended with exit code {code}, not {_INTERRUPTED}.")
    return _count_created(rehearsal)


def list_created_twice(rehearsal: Rehearsal) -> Iterator[str]:
    """Resources that were created again though they had not been deleted."""
    counts = Counter[str]()
    with closing(StateStore(rehearsal.files.state)) as state:
        for entry in state.read_journal():
            if entry.urn and entry.outcome == "done":
                counts[entry.urn] += {"create": 1, "delete": -1}.get(entry.operation, 0)
    yield from (f"{urn.rpartition('$')[2]} was created twice" for urn, count in counts.items() if count > 1)


def list_orphans(rehearsal: Rehearsal) -> Iterator[str]:
    """Resources that exist in the simulated clouds and are not in the engine's state."""
    known = {resource["urn"] for resource in rehearsal.read_resources()}
    with closing(StateStore(rehearsal.files.state)) as state:
        for record in state.all():
            if record.urn and record.urn not in known:
                yield f"{record.type} {record.id} is orphaned"


def _count_planned(rehearsal: Rehearsal, reached: int) -> int:
    """The number of resources that this run and earlier ones create; 0 until the preview has ended."""
    count = reached
    with suppress(ValueError):  # the engine is writing a line
        for event in read_events(rehearsal.folder / "preview-events.jsonl"):
            step = event.get("resourcePreEvent", {}).get("metadata", {})
            is_counted = (step.get("new") or {}).get("custom") and not step["type"].startswith("pulumi:")
            count += bool(is_counted and step["op"] == "create")
            if "summaryEvent" in event:
                return count
    return 0


def _count_created(rehearsal: Rehearsal) -> int:
    """The number of resources created so far, read from the file that the rehearsal has open."""
    query = "SELECT count(*) FROM journal WHERE operation = 'create' AND outcome = 'done'"
    if rehearsal.files.state.exists():
        uri = f"file:{rehearsal.files.state}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database, suppress(sqlite3.OperationalError):
            return int(database.execute(query).fetchone()[0])
    return 0
