"""The input of an analysis: the inference log of one model version in a window of time, and the outcomes since.

Anything that makes it unusable raises an InputError, since it must not look like a window without drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import ibis
import pyarrow.parquet as pq
from pyarrow import ArrowException

from lifecycle.core import ModelVersion
from lifecycle.core.reference_profile import ColumnProfile, ReferenceProfile
from lifecycle.drift import layout, queries
from lifecycle.drift.engines import Engine
from lifecycle.drift.errors import InputError
from lifecycle.drift.store import ArtifactStore

_SUFFIX = ".parquet"


@dataclass(frozen=True)
class Window:
    """Hours of the inference log of one model version: times from `start` to before `end`, in UTC."""

    model_version: ModelVersion
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"the inference log of {self.model_version} from {_format(self.start)} to {_format(self.end)} UTC"


class WindowReader:
    """Reads from the store; files are downloaded into `scratch` unless the engine reads the store itself."""

    def __init__(self, store: ArtifactStore, engine: Engine, scratch: Path, tolerance: timedelta) -> None:
        """`tolerance` is the time by which clocks may differ."""
        self._store = store
        self._engine = engine
        self._scratch = scratch
        self._tolerance = tolerance

    def read_inferences(self, window: Window, reference: ReferenceProfile, now: datetime) -> ibis.Table:
        """The window's inferences. Raises InputError unless they can be compared with the reference."""
        version = window.model_version
        folder = layout.log_folder(version.model, version.version)
        _reject_future_days(window, self._store.list_folders(folder), now + self._tolerance)
        days = list(layout.days_between(window.start, window.end))
        table = self._read(folder, days)
        if table is None:
            raise InputError(
                f"There is nothing in {window}: {self._store.locate(folder)} has no files for these days. Check that "
                "the model is served with an inference log, and that the log is compacted."
            )
        _check_columns(window, table, reference)
        self._check_times(window, table, days, now)
        return queries.select_window(table, window.start, window.end)

    def read_outcomes(self, window: Window, output: ColumnProfile, now: datetime) -> ibis.Table | None:
        """The outcomes that became known from the window's start until now; None if there are none."""
        folder = layout.outcome_folder(window.model_version.model)
        start = window.start - self._tolerance
        table = self._read(folder, list(layout.days_between(start, now + self._tolerance)))
        if table is not None:
            expected = {layout.REQUEST_ID: "string", layout.ROW: "int32", layout.TIME: "timestamp"}
            expected[layout.OUTCOME] = _type_name(output)
            _check_types(f"the outcomes in {self._store.locate(folder)}", table, expected)
        return table

    def _read(self, folder: str, days: Sequence[date]) -> ibis.Table | None:
        files = [file for day in days for file in self._store.list_files(f"{folder}/{day}", _SUFFIX)]
        if not files:
            return None
        if self._engine.is_remote:
            return self._engine.read([self._store.locate(file) for file in files])
        return self._engine.read([str(self._fetch(file)) for file in files])

    def _fetch(self, file: str) -> Path:
        """A local copy whose end, with the schema, is intact."""
        path = self._store.download(file, self._scratch / Path(file).parent)
        try:
            pq.read_schema(path)
        except (ArrowException, OSError) as error:
            raise InputError(
                f"The file {self._store.locate(file)} is truncated or corrupt: not readable as Parquet ({error}). "
                "Restore it, or remove it and accept that its rows are missing."
            ) from None
        return path

    def _check_times(self, window: Window, table: ibis.Table, days: Sequence[date], now: datetime) -> None:
        found = self._engine.run(queries.describe_times(table)).iloc[0]
        if found["rows"] == 0:
            raise InputError(f"The files of {window} have no rows. Check what writes them.")
        if found["untimed"] > 0:
            raise InputError(f"{found['untimed']} rows in the files of {window} have no time. Check what writes them.")
        earliest, latest = (_to_utc(found[name]) for name in ("earliest", "latest"))
        if latest > now + self._tolerance:
            raise InputError(
                f"The files of {window} have rows from the future: {latest:%Y-%m-%d %H:%M:%S} UTC, and now it is "
                f"{now:%H:%M:%S} UTC. Set the clocks of the nodes, or raise DRIFT_CLOCK_TOLERANCE."
            )
        first = datetime.combine(days[0], datetime.min.time(), UTC)
        last = datetime.combine(days[-1] + timedelta(days=1), datetime.min.time(), UTC)
        if earliest < first or latest >= last:
            raise InputError(
                f"The files of {window} have rows from other days than their folders: {earliest:%Y-%m-%d %H:%M} to "
                f"{latest:%Y-%m-%d %H:%M} UTC. Write the log with `python -m lifecycle.drift compact`."
            )


def _reject_future_days(window: Window, folders: Sequence[str], latest: datetime) -> None:
    future = [folder for folder in folders if folder > f"{latest:%Y-%m-%d}"]
    if future:
        raise InputError(
            f"The inference log of {window.model_version} has rows from the future: it has a folder {max(future)}. "
            "Set the clocks of the nodes, and remove the folder."
        )


def _check_columns(window: Window, table: ibis.Table, reference: ReferenceProfile) -> None:
    expected = {layout.REQUEST_ID: "string", layout.ROW: "int32", layout.TIME: "timestamp"}
    expected |= {name: _type_name(profile) for name, profile in log_columns(reference).items()}
    _check_types(str(window), table, expected)
    known = set(expected)
    prefixes = (layout.INPUT, layout.OUTPUT)
    extra = [name for name in table.columns if name.startswith(prefixes) and name not in known]
    if extra:
        raise InputError(
            f"The schema has changed: {window} has {', '.join(sorted(extra))}, which the training reference does not "
            "have. Compare each version with its own reference."
        )


def log_columns(reference: ReferenceProfile) -> dict[str, ColumnProfile]:
    """The reference's profiles, keyed by the log's columns."""
    return dict(_log_columns(reference))


def _log_columns(reference: ReferenceProfile) -> Iterator[tuple[str, ColumnProfile]]:
    for prefix, profiles in ((layout.INPUT, reference.inputs), (layout.OUTPUT, reference.outputs)):
        for name, profile in profiles.items():
            yield f"{prefix}{name}", profile


def _check_types(subject: str, table: ibis.Table, expected: Mapping[str, str]) -> None:
    schema = table.schema()
    missing = sorted(set(expected) - set(schema))
    if missing:
        raise InputError(f"The schema has changed: {subject} lacks {', '.join(missing)}.")
    for name, type_name in expected.items():
        found = schema[name]
        fits = found.is_timestamp() if type_name == "timestamp" else str(found).lstrip("!") == type_name
        if not fits:
            raise InputError(f"The schema has changed: {name} is {found} in {subject}, and must be {type_name}.")


def _type_name(profile: ColumnProfile) -> str:
    return "string" if profile.is_text else "float64"


def _format(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _to_utc(value: datetime) -> datetime:
    """Spark returns times without a zone, in the time zone of its session, which is UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
