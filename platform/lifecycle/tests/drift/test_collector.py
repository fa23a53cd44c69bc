"""The collector: serving's events become Parquet in the store, even if the store is unavailable or the process ends.

Proves, with the command as a process and serving's own sink as the client, that accepted events are in the store after
SIGTERM; that events which cannot be stored are refused, and that invalid lines are stored separately. Not proven: a
cloud's store, which is a folder here; that events survive the loss of the disk, since they do not.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette

from drift.test_compaction import event
from lifecycle.core.endpoint import Heartbeat
from lifecycle.drift import layout
from lifecycle.drift.collector import Collector, EventFile, FullError, create_app, read_latest_reports
from lifecycle.drift.metrics import ReportMetrics
from lifecycle.drift.report import AccuracyResult, ColumnResult, DriftReport, Outcome, write
from lifecycle.drift.settings import CollectorSettings
from lifecycle.drift.store import ArtifactStore
from lifecycle.serving.inference_log import HttpSink
from support.network import free_port
from support.waiting import TIMEOUT, eventually

ROOT = Path(__file__).resolve().parents[2]
BATCH = {"content-type": "application/cloudevents-batch+json"}


def settings(folder: Path, **changes: Any) -> CollectorSettings:
    content = {"store": str(folder / "store"), "collect_folder": folder / "events", **changes}
    return CollectorSettings.model_validate(content)


def read_rows(folder: Path) -> list[Mapping[str, Any]]:
    return [row for path in folder.glob("store/inference-log/**/*.parquet") for row in pq.read_table(path).to_pylist()]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    variables = {"DRIFT_STORE": str(tmp_path / "store"), "DRIFT_COLLECT_FOLDER": str(tmp_path / "events")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PORT": str(port), **variables}
    command = [sys.executable, "-m", "lifecycle.drift", "collect"]
    with subprocess.Popen(command, env=environment) as started:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_ready(url), "the collector is ready")
        yield started, url
        started.kill()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.process
def test_serving_events_are_in_the_store_after_the_process_has_ended(
    process: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    started, url = process
    sink = HttpSink(f"{url}/events")
    sink.send([json.dumps(event(1)).encode(), json.dumps(event(2)).encode()])
    sink.send([json.dumps(event(3)).encode()])
    assert 'groundwork_drift_collected_events_total{result="accepted"} 3.0' in httpx.get(f"{url}/metrics").text
    started.send_signal(signal.SIGTERM)
    assert started.wait(TIMEOUT) == 0
    assert {row["event_id"] for row in read_rows(tmp_path)} == {"e-1", "e-2", "e-3"}
    assert list((tmp_path / "events").iterdir()) == []


def test_events_wait_while_the_store_is_away(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, where the folder should be")
    collector, events = create_collector(tmp_path)
    events.add([event(1)])
    collector.start()
    collector.close()
    assert events.measure() > 0
    (tmp_path / "store").unlink()
    collector, _ = create_collector(tmp_path)
    collector.start()
    collector.close()
    assert [row["event_id"] for row in read_rows(tmp_path)] == ["e-1", "e-1"], "both rows of the request"
    assert events.measure() == 0


def create_collector(folder: Path) -> tuple[Collector, EventFile]:
    events = EventFile(folder / "events", 1 << 20)
    return Collector(settings(folder), events, Heartbeat()), events


def test_a_line_that_is_not_an_event_is_stored_separately(tmp_path: Path) -> None:
    collector, events = create_collector(tmp_path)
    events.add([event(1), {"type": "dev.acme.other"}])
    collector.start()
    collector.close()
    (kept,) = tmp_path.glob("store/rejected-events/*/*.jsonl")
    assert json.loads(kept.read_text()) == {"type": "dev.acme.other"}
    assert len(read_rows(tmp_path)) == 2
    assert events.measure() == 0
    assert list((tmp_path / "events").iterdir()) == []


def post(app: Starlette, content: str, headers: Mapping[str, str]) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector") as client:
            return await client.post("/events", content=content, headers=headers)

    return asyncio.run(send())


def test_records_that_do_not_fit_are_refused_as_a_whole(tmp_path: Path) -> None:
    events = EventFile(tmp_path / "events", 1 << 20)
    large = [event(1, note="x" * (1 << 19))]
    events.add(large)
    before = events.measure()
    with pytest.raises(FullError):
        events.add([*large, *large])
    assert events.measure() == before
    app = create_app(settings(tmp_path), events, Heartbeat())
    response = post(app, json.dumps([*large, *large]), BATCH)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        ("[]", {"content-type": "application/json"}, 415, "application/cloudevents-batch+json"),
        ("{}", BATCH, 400, "must be a JSON array"),
        ("[1]", BATCH, 400, "must be a JSON array"),
        ("[", BATCH, 400, "is not JSON"),
        ("[" + " " * 2000 + "]", BATCH, 413, "larger than 1024 bytes (DRIFT_COLLECT_MAX_BODY_BYTES)"),
    ],
)
def test_a_request_that_is_not_a_batch_of_events_is_refused(
    content: str, headers: dict[str, str], status: int, message: str, tmp_path: Path
) -> None:
    events = EventFile(tmp_path / "events", 1 << 20)
    app = create_app(settings(tmp_path, collect_max_body_bytes=1024), events, Heartbeat())
    response = post(app, content, headers)
    assert response.status_code == status
    assert message in response.json()["error"]
    assert events.measure() == 0


def test_metrics_are_from_the_last_report_on_each_model(tmp_path: Path) -> None:
    column = ColumnResult("age", "input", "chi-square", 0.0, 0.5, None, None, 0.0, 0.0, True, ["a"], [1.0], [1.0])
    accuracy = AccuracyResult(100, 80, 0, 0.9, 0.001, 0.002, True)
    found = DriftReport(
        "wine",
        "3",
        "run",
        "2026-11-25T00:00:00+00:00",
        "2026-11-26T00:00:00+00:00",
        700,
        1,
        Outcome.DRIFT,
        ["x"],
        [column],
        accuracy,
    )
    folder = tmp_path / "store" / layout.LATEST_REPORTS
    for report in (found, replace(found, model="beer", outcome=Outcome.INCONCLUSIVE, columns=[], accuracy=None)):
        written = {file.name: file for file in write(report, tmp_path / report.model)}
        folder.mkdir(parents=True, exist_ok=True)
        written["report.json"].rename(folder / layout.latest_report(report.model))
    (folder / "broken.json").write_text("{")
    reports = read_latest_reports(ArtifactStore(str(tmp_path / "store")))
    assert found in [replace(each, columns=list(each.columns), reasons=list(each.reasons)) for each in reports]
    exposed, report_metrics = CollectorRegistry(), ReportMetrics()
    report_metrics.reports = reports
    exposed.register(report_metrics)
    text = generate_latest(exposed).decode()
    for line in (
        'groundwork_drift_detected{model="wine",version="3"} 1.0',
        'groundwork_drift_detected{model="beer",version="3"} 0.0',
        'groundwork_drift_inconclusive{model="beer",version="3"} 1.0',
        'groundwork_drift_accuracy{model="wine",version="3"} 0.8',
        'groundwork_drift_accuracy_dropped{model="wine",version="3"} 1.0',
        'groundwork_drift_column{column="age",model="wine",role="input",version="3"} 1.0',
    ):
        assert line in text
    assert "broken" not in text
