"""The whole path with real parts: a trained model in MLflow, the log that a real server wrote, the command.

Simulated: the receiver of events, which is an HTTP server that records requests; and the requests to the model, which
are rows of the held-out data with one feature changed.
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mlflow import MlflowClient
from prometheus_client import CollectorRegistry, generate_latest

from lifecycle.core import CHAMPION, ModelRegistry, ModelVersion
from lifecycle.core.names import REFERENCE_PATH
from lifecycle.drift import events, layout
from lifecycle.drift.__main__ import main
from lifecycle.drift.check import check_model, read_reference
from lifecycle.drift.collector import read_latest_reports
from lifecycle.drift.compaction import Compactor
from lifecycle.drift.errors import InputError
from lifecycle.drift.metrics import ReportMetrics
from lifecycle.drift.report import DriftReport, Outcome
from lifecycle.drift.settings import DriftSettings
from lifecycle.drift.store import ArtifactStore
from lifecycle.training import data
from support.drift import settings
from support.network import UNUSED_URL, JsonReceiver
from support.registered_models import RegisteredModels
from support.serving import serve
from support.training import train_and_register

SHIFTED = "mean_texture"


@pytest.fixture(scope="module")
def registry(mlflow_server: str) -> ModelRegistry:
    return ModelRegistry.connect(mlflow_server)


@pytest.fixture(scope="module")
def trained(registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """A champion that was trained on the real data."""
    version = train_and_register(registry, tmp_path_factory.mktemp("trained"), "drifting")
    registry.client.set_registered_model_alias(version.model, CHAMPION, version.version)
    return version


@pytest.fixture(scope="module")
def store(registry: ModelRegistry, trained: ModelVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the log of a server whose requests have one feature changed."""
    folder = tmp_path_factory.mktemp("served")
    log = folder / "inference.jsonl"
    rows = data.load_shipped()[data.FEATURES].sample(600, replace=True, random_state=7)
    rows[SHIFTED] += rows[SHIFTED].std()
    with serve(
        registry.uri, folder, model=trained.model, INFERENCE_LOG_SINK=log.as_uri(), MAX_BATCH_SIZE=100
    ) as server:
        for first in range(0, 600, 100):
            batch = rows[first : first + 100].to_dict("records")
            assert server.client.post("/predict", json={"features": batch}).status_code == 200
        assert server.stop() == 0
    next_hour()
    os.utime(log, (0, 0))
    summary = Compactor(log, ArtifactStore(str(folder / "store")), tolerance=300).run()
    assert (summary.rows, summary.rejected) == (600, 0)
    return folder / "store"


class Ended(NamedTuple):
    """The command's exit status and output."""

    returncode: int
    stdout: str
    stderr: str


def run(capsys: pytest.CaptureFixture[str], *arguments: str, **environment: str) -> Ended:
    """The command, in this process: it imports for seconds. test_collector.py starts a process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            status = main(arguments)
        except SystemExit as ended:  # for wrong usage
            status = int(ended.code or 0)
    return Ended(status, *capsys.readouterr())


def expose(store: Path) -> str:
    """The metrics of the last reports in a store, as Prometheus scrapes them."""
    exposed = CollectorRegistry()
    report_metrics = ReportMetrics()
    report_metrics.reports = read_latest_reports(ArtifactStore(str(store)))
    exposed.register(report_metrics)
    return generate_latest(exposed).decode()


@cache
def next_hour() -> datetime:
    """The first full hour after the log was written; the same for all tests, even if one runs late."""
    return (datetime.now(UTC) + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)


def check(registry: ModelRegistry, store: Path, **changes: Any) -> tuple[DriftReport, str]:
    end = next_hour()
    return check_model(registry, "drifting", settings(store, **changes), until=end, clock=lambda: end)


@pytest.mark.parametrize("hours", [24.0, 2.0])
def test_a_window_of_hours_ends_with_the_last_full_hour(registry: ModelRegistry, store: Path, hours: float) -> None:
    now = next_hour() + timedelta(minutes=17, seconds=45)
    start = next_hour() - timedelta(hours=hours)
    found, _ = check_model(registry, "drifting", settings(store, window_hours=hours), clock=lambda: now)
    assert (found.start, found.rows) == (start.isoformat(), 600)


def test_a_window_of_minutes_ends_with_the_last_full_minute(registry: ModelRegistry, store: Path) -> None:
    """It begins after the next full hour, so it is empty at any time of day."""
    now = next_hour() + timedelta(minutes=47, seconds=45)
    with pytest.raises(InputError, match=f"from {next_hour() + timedelta(minutes=17):%Y-%m-%d %H:%M} to"):
        check_model(registry, "drifting", settings(store, window_hours=0.5), clock=lambda: now)


def test_training_logs_a_reference_with_every_input_the_output_and_the_accuracy(
    registry: ModelRegistry, trained: ModelVersion, tmp_path: Path
) -> None:
    reference = read_reference(registry, trained, tmp_path)
    assert list(reference.inputs) == data.FEATURES
    assert {sum(profile.counts[0]) for profile in reference.inputs.values()} == {len(data.load_shipped())}
    _, held_out = data.split(data.load_shipped())
    assert reference.outputs["predict"].kind == "category"
    assert reference.accuracy is not None
    assert reference.accuracy.rows == len(held_out)
    run = registry.client.get_run(trained.lineage.run_id)
    assert reference.accuracy.correct / reference.accuracy.rows == pytest.approx(run.data.metrics["accuracy"])


def test_drift_in_what_a_server_logged_ends_in_reports_metrics_and_an_event(
    registry: ModelRegistry, trained: ModelVersion, store: Path
) -> None:
    with JsonReceiver().running() as receiver:
        report, uri = check(registry, store, event_sink=receiver.url)
    assert report.outcome == Outcome.DRIFT
    assert [column.name for column in report.columns if column.has_drifted] == [SHIFTED]
    written = Path(uri.removeprefix("file://"))
    assert written.parent == store / layout.report_folder("drifting", "1", next_hour())
    assert json.loads(written.read_text())["reasons"] == list(report.reasons)
    page = written.with_name("report.html").read_text()
    assert f"input {SHIFTED} has drifted" in page
    assert page.count("<svg") == len(data.FEATURES) + 1
    exposed = expose(store)
    assert f'groundwork_drift_detected{{model="drifting",version="{trained.version}"}} 1.0' in exposed
    labels = f'column="{SHIFTED}",model="drifting",role="input",version="{trained.version}"'
    assert f"groundwork_drift_column{{{labels}}} 1.0" in exposed
    [event] = receiver.received
    assert (event["type"], event["data"]["report"]) == ("dev.groundwork.drift", uri)
    assert event["data"]["columns"] == [f"input/{SHIFTED}"]
    assert event["id"] == events.describe(report, uri)["id"], "a receiver can recognize a duplicate"


def test_a_window_with_too_few_rows_sends_no_event(registry: ModelRegistry, store: Path) -> None:
    with JsonReceiver().running() as receiver:
        report, _ = check(registry, store, event_sink=receiver.url, min_rows=601)
    assert report.outcome == Outcome.INCONCLUSIVE
    assert receiver.received == []


def test_a_receiver_that_does_not_answer_is_an_error(registry: ModelRegistry, store: Path) -> None:
    with pytest.raises(Exception, match="DRIFT_EVENT_SINK"):
        check(registry, store, event_sink=UNUSED_URL)


def test_metrics_are_from_the_last_report_and_invalid_reports_are_left_out(
    registry: ModelRegistry, store: Path
) -> None:
    check(registry, store)
    check(registry, store, min_rows=601)
    (store / layout.LATEST_REPORTS / "broken.json").write_text("{")
    exposed = expose(store)
    assert len(re.findall("(?m)^groundwork_drift_detected{", exposed)) == 1
    assert re.search("(?m)^groundwork_drift_inconclusive{.*} 1.0$", exposed)


def test_all_champions_are_checked_even_if_one_fails(
    models: RegisteredModels, registry: ModelRegistry, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = models.create()
    models.create_version(lacking, CHAMPION)
    end = next_hour() - timedelta(hours=1)
    variables = {"MLFLOW_TRACKING_URI": registry.uri, "DRIFT_STORE": str(store)}
    result = run(capsys, "check", "--all", "--until", end.isoformat(), **variables)
    assert result.returncode == 1
    assert f"error: The training reference of {lacking} version 1 is missing" in result.stderr
    assert re.search(f"were not checked, for the reasons above: .*{lacking}", result.stderr)
    assert '"model": "drifting"' in result.stdout or "inference log of drifting" in result.stderr
    unclear = run(capsys, "check", "drifting", "--all", **variables)
    assert (unclear.returncode, unclear.stdout) == (2, "")


def test_names_are_escaped_in_the_page(registry: ModelRegistry, store: Path) -> None:
    from dataclasses import replace

    from lifecycle.drift.report import render_html

    report = replace(check(registry, store)[0], model='<script>"')
    assert "<script>" not in render_html(report)


def test_a_version_without_a_reference_is_an_error(models: RegisteredModels, registry: ModelRegistry) -> None:
    name = models.create()
    models.create_version(name, CHAMPION)
    with pytest.raises(
        InputError, match=rf"training reference of {name} version 1 is missing: .* Train the model again"
    ):
        check_model(registry, name, settings(Path("unused")))


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not readable: .*Invalid JSON"), ('{"format": 2}', "not readable: format Input should be 1")],
)
def test_a_broken_reference_is_an_error(
    models: RegisteredModels, registry: ModelRegistry, content: str, message: str
) -> None:
    name = models.create()
    version = models.create_version(name, CHAMPION)
    MlflowClient(models.uri).log_text(models.run_id(name, version), content, REFERENCE_PATH)
    with pytest.raises(InputError, match=message):
        check_model(registry, name, settings(Path("unused")))


def test_the_command_prints_its_result_or_one_message(
    registry: ModelRegistry, trained: ModelVersion, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"MLFLOW_TRACKING_URI": registry.uri, "DRIFT_STORE": str(store)}
    empty = run(capsys, "check", trained.model, "--until", "2020-01-01T00:00", **variables)
    assert (empty.returncode, empty.stdout) == (1, "")
    assert re.fullmatch(r"error: There is nothing in the inference log of drifting version 1 .*\n", empty.stderr)
    unknown = run(capsys, "check", "nobody", **variables)
    assert unknown.returncode == 1
    assert "has no model nobody with the alias champion" in unknown.stderr
    unset = run(capsys, "check", trained.model, MLFLOW_TRACKING_URI=registry.uri)
    assert (unset.returncode, unset.stderr) == (1, "error: DRIFT_STORE is not set and has no default: set it\n")
    log = tmp_path / "inference.jsonl"
    log.write_text("no event\n")
    os.utime(log, (0, 0))
    rejected = run(capsys, "compact", str(log), **variables)
    assert rejected.returncode == 1
    assert json.loads(rejected.stdout) == {"files": [], "rows": 0, "repeated": 0}
    assert f"1 lines of {log} are not inference events" in rejected.stderr


@pytest.mark.parametrize("sink", ["ftp://x", "file://host/x", "file:///", "x"])
def test_an_invalid_sink_is_refused(sink: str) -> None:
    with pytest.raises(ValueError, match="must be http"):
        DriftSettings.model_validate({"store": "s", "event_sink": sink})


def test_events_of_a_file_are_lines(tmp_path: Path) -> None:
    sink = events.open_sink((tmp_path / "events.jsonl").as_uri())
    sink.send({"id": "1"})
    sink.send({"id": "2"})
    assert [json.loads(line)["id"] for line in (tmp_path / "events.jsonl").read_text().splitlines()] == ["1", "2"]
