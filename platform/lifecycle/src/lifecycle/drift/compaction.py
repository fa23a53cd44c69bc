"""From the files that serving appends events to, to Parquet in the artifact store by model, version and day.

The file is renamed, so that serving continues with a new one, and read once nobody writes to it anymore. A file of the
store is named after the events in it: if an interrupted compaction is repeated, it overwrites the files of the first
attempt.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lifecycle.drift import layout
from lifecycle.drift.inference_events import EventError, InferenceEvent, parse
from lifecycle.drift.store import ArtifactStore

# Serving opens the file for each write of a batch, so a write to a renamed file ends at once.
_SETTLED = 5.0  # seconds since the last write
_ROTATED, _REJECTED = ".rotated", ".rejected"
_COMMON = [
    pa.field(layout.EVENT_ID, pa.string(), nullable=False),
    pa.field(layout.REQUEST_ID, pa.string(), nullable=False),
    pa.field(layout.ROW, pa.int32(), nullable=False),
    pa.field(layout.TIME, pa.timestamp("us", "UTC"), nullable=False),
    pa.field(layout.LATENCY, pa.float64()),
    pa.field(layout.USER, pa.string()),
]

Key = tuple[str, str, date]  # model, version, day


@dataclass
class Summary:
    """The result of a compaction.

    files     URIs that were written
    rows      the number of rows in them
    repeated  events that occurred earlier in the input
    rejected  lines that are not events; they are stored in `rejected_file`
    reason    of the first rejection
    """

    files: list[str] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    rejected: int = 0
    rejected_file: Path | None = None
    reason: str = ""


@dataclass
class _Part:
    """The events of one file to be written, whose columns have one type each."""

    ids: list[str] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    types: dict[str, type] = field(default_factory=dict)

    def add(self, event: InferenceEvent) -> None:
        """Raises EventError if a column has another type than in earlier events."""
        types = dict(self.types)
        for name, value in ((name, value) for row in event.rows for name, value in row.items() if value is not None):
            if types.setdefault(name, type(value)) is not type(value):
                raise EventError(f"{name} is a {type(value).__name__}, in other events a {types[name].__name__}")
        self.types = types
        self.ids.append(event.id)
        self.rows.extend(event.rows)


class Compactor:
    """Compacts the events of one file, and of files that it was renamed to earlier."""

    def __init__(self, log_file: Path, store: ArtifactStore, tolerance: float, settle: float = _SETTLED) -> None:
        """
        tolerance  seconds by which the clocks of serving and of this process may differ
        settle     seconds to wait after a file's last write before it is read; 0 if nobody writes anymore
        """
        self._log_file = log_file
        self._store = store
        self._tolerance = timedelta(seconds=tolerance)
        self._settle = settle

    def run(self) -> Summary:
        """Compact files that have settled. Raises LifecycleError if the store fails; then nothing is removed."""
        self._rotate()
        settled = time.time() - self._settle
        pattern = f"{self._log_file.name}.*{_ROTATED}"
        files = [path for path in sorted(self._log_file.parent.glob(pattern)) if path.stat().st_mtime <= settled]
        summary, parts = Summary(), defaultdict[Key, _Part](_Part)
        rejected = list(self._read(files, parts, summary))
        for key, part in parts.items():
            if part.rows:
                summary.files.append(self._write(key, part))
                summary.rows += len(part.rows)
        if rejected:
            summary.rejected_file = self._log_file.with_name(f"{self._log_file.name}{_REJECTED}")
            with summary.rejected_file.open("ab") as output:
                output.writelines(rejected)
        for path in files:
            path.unlink()
        return summary

    def _rotate(self) -> None:
        if self._log_file.is_file() and self._log_file.stat().st_size:
            os.rename(self._log_file, f"{self._log_file}.{uuid.uuid4().hex}{_ROTATED}")

    def _read(self, files: Sequence[Path], parts: dict[Key, _Part], summary: Summary) -> Iterator[bytes]:
        """Sort the events into parts; yields the lines that are not events."""
        seen, latest = set[str](), datetime.now(UTC) + self._tolerance
        for line in (line for path in files for line in path.open("rb") if line.strip()):
            try:
                event = parse(line)
                if event.time > latest:
                    raise EventError(f"its time {event.time.isoformat()} is in the future: clocks differ")
                if event.id not in seen:
                    parts[event.model, event.version, event.time.date()].add(event)
            except EventError as error:
                summary.rejected += 1
                summary.reason = summary.reason or str(error)
                yield line.rstrip(b"\n") + b"\n"
                continue
            summary.repeated += event.id in seen
            seen.add(event.id)

    def _write(self, key: Key, part: _Part) -> str:
        model, version, day = key
        digest = hashlib.sha256("\n".join(sorted(part.ids)).encode()).hexdigest()
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, f"{digest[:32]}.parquet")
            pq.write_table(to_table(part.rows, part.types), file, compression="zstd")
            return self._store.upload(file, f"{layout.log_folder(model, version)}/{day}")


def to_table(rows: Sequence[Mapping[str, Any]], types: Mapping[str, type]) -> pa.Table:
    """Rows as the log's table, in the order of their times. A column without any value is left out."""
    common = {field.name for field in _COMMON}
    values = [pa.field(name, pa.string() if type_ is str else pa.float64()) for name, type_ in types.items()]
    schema = pa.schema([*_COMMON, *(each for each in values if each.name not in common)])
    return pa.Table.from_pylist(list(rows), schema=schema).sort_by(layout.TIME)
