"""From the file that serving writes to Parquet in the store, with invalid, repeated and foreign lines.

Not proven here: that serving writes such events; test_check.py compacts the log of a real server.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lifecycle.core import LifecycleError
from lifecycle.drift.compaction import Compactor, Summary
from lifecycle.drift.store import ArtifactStore

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def event(number: int, time: datetime = NOON, **data: Any) -> dict[str, Any]:
    content = {
        "request_id": f"r-{number}",
        "model": "wine",
        "model_version": "3",
        "latency_ms": 1.5,
        "inputs": [{"alcohol": 13, "colour": "red"}, {"alcohol": 12.5, "colour": None}],
        "outputs": {"predict": [1, 0]},
    }
    return {
        "specversion": "1.0",
        "id": f"e-{number}",
        "type": "dev.groundwork.inference",
        "time": time.isoformat(),
        "data": {**content, **data},
    }


def write(path: Path, *events: dict[str, Any] | bytes) -> None:
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in events]
    path.write_bytes(b"\n".join(lines) + b"\n")
    settle(path)


def settle(path: Path) -> None:
    """Serving's last write was a while ago."""
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "inference.jsonl"


def compact(log: Path) -> Summary:
    return Compactor(log, ArtifactStore(str(log.parent / "store")), tolerance=300).run()


def read(summary: Summary) -> list[dict[str, Any]]:
    return [row for uri in summary.files for row in pq.read_table(uri.removeprefix("file://")).to_pylist()]


def test_each_row_of_a_request_becomes_a_row_in_the_folder_of_its_day(log: Path) -> None:
    write(log, event(1), event(2, NOON + timedelta(hours=12)), event(3, model_version="4"))
    summary = compact(log)
    folders = sorted(str(Path(uri).parent).partition("/store/")[2] for uri in summary.files)
    assert folders == [
        "inference-log/wine/3/2026-11-25",
        "inference-log/wine/3/2026-11-26",
        "inference-log/wine/4/2026-11-25",
    ]
    assert (summary.rows, summary.rejected, summary.repeated) == (6, 0, 0)
    rows = [row for row in read(summary) if row["event_id"] == "e-1"]
    assert [(row["row"], row["input_alcohol"], row["input_colour"], row["output_predict"]) for row in rows] == [
        (0, 13.0, "red", 1.0),
        (1, 12.5, None, 0.0),
    ]
    assert {(row["request_id"], row["time"], row["latency_ms"], row["user"]) for row in rows} == {
        ("r-1", NOON, 1.5, None)
    }


def test_a_model_with_a_list_per_row_has_a_column_per_element(log: Path) -> None:
    write(log, event(1, outputs={"probability": [[0.25, 0.75], [1, 0]]}))
    assert [row["output_probability_1"] for row in read(compact(log))] == [0.75, 0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"specversion": "1.0", "id": "e-', "it is not an inference event (JSONDecodeError"),
        (b"[]", "it is not an inference event (TypeError"),
        (b"\xff\xfe", "it is not an inference event (UnicodeDecodeError"),
        (json.dumps({**event(9), "type": "other"}).encode(), "it has another type"),
        (json.dumps(event(9, outputs={"predict": [1]})).encode(), "it has 2 inputs and 1 values of 'predict'"),
        (json.dumps(event(9, inputs=[{"alcohol": {}}], outputs={"predict": [1]})).encode(), "is a dict"),
        (
            json.dumps(event(9, inputs=[{"alcohol": "13"}], outputs={"predict": [1]})).encode(),
            "in other events a float",
        ),
        (json.dumps(event(9, datetime.now(UTC) + timedelta(hours=1))).encode(), "in the future: clocks differ"),
    ],
)
def test_a_line_that_is_not_an_event_is_stored_and_reported_and_affects_no_other(
    log: Path, line: bytes, reason: str
) -> None:
    write(log, event(1), line, event(2))
    summary = compact(log)
    assert (summary.rows, summary.rejected) == (4, 1)
    assert reason in summary.reason
    assert summary.rejected_file is not None
    assert summary.rejected_file.read_bytes() == line + b"\n"


def test_an_event_that_was_delivered_twice_counts_once(log: Path) -> None:
    write(log, event(1), event(1))
    summary = compact(log)
    assert (summary.rows, summary.repeated) == (2, 1)


def test_events_written_during_a_compaction_are_left_for_the_next_one(log: Path) -> None:
    write(log, event(1))
    os.utime(log)
    assert compact(log).rows == 0
    (rotated,) = log.parent.glob("*.rotated")
    settle(rotated)
    write(log, event(2))
    assert sorted({row["event_id"] for row in read(compact(log))}) == ["e-1", "e-2"]
    assert list(log.parent.glob("inference.jsonl*")) == []


def test_a_failed_compaction_loses_nothing_and_repeating_it_duplicates_nothing(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, event(1), event(2, NOON + timedelta(days=1)))
    real, calls = ArtifactStore.upload, []

    def fail_second(self: ArtifactStore, file: Path, folder: str) -> str:
        calls.append(folder)
        if len(calls) == 2:
            raise LifecycleError("the store is away")
        return real(self, file, folder)

    monkeypatch.setattr(ArtifactStore, "upload", fail_second)
    with pytest.raises(LifecycleError, match="the store is away"):
        compact(log)
    summary = compact(log)
    assert (summary.rows, len(list(log.parent.glob("store/**/*.parquet")))) == (4, 2)


def test_an_empty_or_missing_file_is_nothing_to_compact(log: Path) -> None:
    assert compact(log) == Summary()
    log.touch()
    assert compact(log) == Summary()
