"""Logs, traces and reports of errors of a server, with receivers on this machine.

Proves the fields of a line, that a trace continues from the sender of a request to the services that this process
calls, that tracing is not even imported without a collector, that a collector that hangs delays nothing, and that an
error report has no message, variable or field that may contain personal data. Simulated: the collector and the error
tracking service, which accept everything.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from lifecycle.core import LifecycleError, SettingsError, tracing
from lifecycle.core.error_tracking import ErrorTrackingSettings, Limit, start_error_tracking
from lifecycle.core.logs import JsonFormatter, configure_server_logging, log_context
from lifecycle.core.metrics_page import render_metrics
from lifecycle.core.request_telemetry import USER, RequestTelemetry
from lifecycle.core.telemetry import observe
from support.network import HttpRequest, HttpResponse, serve_http
from support.waiting import TIMEOUT

SOURCES = Path(__file__).resolve().parents[2] / "src"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"x-request-id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
PRIVATE = "PRIVATE-4711"

_log = logging.getLogger("lifecycle.test")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@contextmanager
def receive(status: int = 200) -> Iterator[tuple[str, queue.Queue[HttpRequest]]]:
    received: queue.Queue[HttpRequest] = queue.Queue()

    def respond(request: HttpRequest) -> HttpResponse:
        received.put(request)
        return HttpResponse(status, {})

    with serve_http(respond) as url:
        yield url, received


def create_app(registry: CollectorRegistry | None = None) -> RequestTelemetry:
    seconds = Histogram("seconds", "Duration.", registry=registry)

    async def good(request: Request) -> Response:
        sent: dict[str, str] = {}
        tracing.inject(sent)
        seconds.observe(0.2, tracing.find_exemplar())
        return JSONResponse({"id": request.scope["request_id"], "sent": sent.get("traceparent", "")})

    async def refused(request: Request) -> Response:
        request.scope[USER] = "a-pseudonym"
        return Response(status_code=503)

    async def broken(request: Request) -> Response:  # noqa: ARG001
        raise ValueError(f"could not convert {PRIVATE}")

    async def metrics(request: Request) -> Response:
        assert registry is not None
        return render_metrics(request, registry)

    routes = [Route("/good", good), Route("/refused", refused), Route("/broken", broken), Route("/metrics", metrics)]
    return RequestTelemetry(Starlette(routes=routes))


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_has_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure_server_logging(service="a-server")
    with log_context(model="wine", version="3"):
        _log.warning("two\nlines", extra={"count": 2})
    (line,) = read_lines(capsys.readouterr().err)
    assert line.items() >= {"level": "warning", "message": "two\nlines", "service": "a-server", "count": 2}.items()
    assert (line["model"], line["version"]) == ("wine", "3")


@pytest.mark.parametrize(
    ("error", "expected"), [(ValueError(PRIVATE), None), (LifecycleError("set PORT"), "set PORT")], ids=str
)
def test_only_an_exceptions_message_for_people_is_logged(error: Exception, expected: str | None) -> None:
    try:
        raise error
    except Exception:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    line = json.loads(JsonFormatter().format(record))
    assert (line["error"], line.get("reason")) == (type(error).__name__, expected)
    assert "test_telemetry.py" in line["frames"][0]
    assert PRIVATE not in json.dumps(line)


def test_failed_requests_are_logged_with_their_ids_and_good_ones_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    configure_server_logging(service="a-server")
    client = TestClient(create_app(), raise_server_exceptions=False)
    assert client.get("/good", headers=HEADERS).json() == {"id": "r-1", "sent": ""}
    assert client.get("/refused", headers=HEADERS).status_code == 503
    assert client.get(f"/{PRIVATE}").status_code == 404
    assert client.get("/broken").status_code == 500
    output = capsys.readouterr().err
    refused, missing, broken = [line for line in read_lines(output) if line["message"] == "request"]
    assert refused.items() >= {"request_id": "r-1", "trace_id": TRACE, "user": "a-pseudonym", "status": 503}.items()
    assert (missing["endpoint"], missing["status"], missing["level"]) == ("other", 404, "info")
    assert (broken["endpoint"], broken["status"], broken["level"]) == ("broken", 500, "error")
    assert PRIVATE not in output


def find_spans(received: queue.Queue[HttpRequest]) -> list[Any]:
    message = ExportTraceServiceRequest.FromString(_unpack(received.get(timeout=TIMEOUT)))
    return [span for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]


def _unpack(request: HttpRequest) -> bytes:
    return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body


def test_a_trace_continues_through_a_server_and_exemplars_lead_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = CollectorRegistry()
    with receive() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with observe("a-server"):
            client = TestClient(create_app(registry))
            sent = client.get("/good", headers=HEADERS).json()["sent"]
            client.get("/refused", headers=HEADERS)
            page = client.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}).text
    good, refused, _ = sorted(find_spans(received), key=lambda span: span.start_time_unix_nano)
    assert (good.name, good.trace_id.hex(), good.parent_span_id.hex()) == ("GET good", TRACE, PARENT)
    assert sent.split("-")[1:3] == [TRACE, good.span_id.hex()], "the called service's span is a child of this span"
    assert refused.status.code == 2
    exemplars = [
        sample.exemplar.labels
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.exemplar
    ]
    assert exemplars == [{"trace_id": TRACE}]
    (line,) = [line for line in read_lines(capsys.readouterr().err) if line["message"] == "request"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, refused.span_id.hex())


@pytest.mark.parametrize(("share", "kept"), [("0", 0), ("1", 20), ("0.5", None)])
def test_a_share_of_the_traces_is_sent(monkeypatch: pytest.MonkeyPatch, share: str, kept: int | None) -> None:
    """At 0.5, random IDs decide: the chance that all of twenty or none are sent is one in 500,000."""
    with receive() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
        with observe("a-server"):
            client = TestClient(create_app())
            for _ in range(20):
                client.get("/good")
    spans = [] if received.empty() else find_spans(received)
    assert len(spans) == kept if kept is not None else 0 < len(spans) < 20


def test_a_hanging_collector_does_not_delay_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def respond(_: HttpRequest) -> HttpResponse:
        release.wait(TIMEOUT)
        return HttpResponse()

    with serve_http(respond) as url:
        for name, value in {"ENDPOINT": url, "TIMEOUT": "1"}.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32")
        with observe("a-server"):
            client = TestClient(create_app())
            durations = []
            for _ in range(200):
                started = time.perf_counter()
                client.get("/good")
                durations.append(time.perf_counter() - started)
            assert sorted(durations)[100] < 0.5, "much less than the exporter's time-out"
            release.set()


@pytest.mark.process
def test_without_a_collector_tracing_is_not_imported() -> None:
    code = (
        "import sys\nfrom lifecycle.core.telemetry import observe\nfrom lifecycle.core import tracing\n"
        "from lifecycle.core.request_telemetry import RequestTelemetry\n"
        "with observe('a-server'), tracing.span('work'):\n    pass\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'sentry'))])"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SENTRY_"))}
    command = [sys.executable, "-c", code]
    run = subprocess.run(
        command, env={**environment, "PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


def fail(private: str) -> None:
    """With the value in a local variable, too."""
    raise ValueError(f"could not convert {private}")


def read_events(received: queue.Queue[HttpRequest]) -> list[dict[str, Any]]:
    """https://develop.sentry.dev/sdk/data-model/envelopes/"""
    events = []
    while not received.empty():
        lines = _unpack(received.get()).split(b"\n")
        events += [json.loads(lines[place + 1]) for place in range(1, len(lines) - 1, 2) if b'"event"' in lines[place]]
    return events


def report(url: str, times: int = 1) -> None:
    finish = start_error_tracking(
        ErrorTrackingSettings.model_validate({"sentry_dsn": url.replace("//", "//key@") + "/1"}), service="a-server"
    )
    with log_context(request_id="r-1", user="a-pseudonym"):
        for _ in range(times):
            try:
                fail(PRIVATE)
            except ValueError:
                _log.exception("a request failed", extra={"row": PRIVATE})
    finish()


@pytest.mark.process
def test_an_error_is_reported_without_personal_data() -> None:
    with receive() as (url, received):
        report(url)
        (event,) = read_events(received)
    assert event["logentry"] == {"message": "a request failed"}
    assert event["tags"] == {"service": "a-server", "request_id": "r-1"}
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ValueError", "")
    assert [frame["function"] for frame in exception["stacktrace"]["frames"]] == ["report", "fail"]
    text = json.dumps(event)
    assert PRIVATE not in text
    assert "a-pseudonym" not in text
    assert "user" not in event


@pytest.mark.process
def test_equal_errors_are_reported_a_few_times() -> None:
    with receive() as (url, received):
        report(url, times=50)
        assert len(read_events(received)) == 5


def test_after_a_while_an_error_is_reported_again() -> None:
    now = 0.0
    limit = Limit(lambda: now)
    assert [limit.allows("x") for _ in range(6)] == [True] * 5 + [False]
    assert limit.allows("y")
    now = 61.0
    assert limit.allows("x")


@pytest.mark.process
def test_an_unavailable_error_tracking_service_delays_nothing() -> None:
    started = time.monotonic()
    report("http://127.0.0.1:9", times=5)
    assert time.monotonic() - started < TIMEOUT


@pytest.mark.process
def test_an_invalid_address_is_an_error_for_people() -> None:
    settings = ErrorTrackingSettings.model_validate({"sentry_dsn": "not-an-address"})
    with pytest.raises(
        SettingsError, match="the value of SENTRY_DSN, or of the file SENTRY_DSN_FILE, is not a valid DSN: must be"
    ) as error:
        start_error_tracking(settings)
    assert "not-an-address" not in str(error.value)


def test_a_file_takes_the_place_of_the_variable_and_may_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "sentry_dsn"
    content = {"sentry_dsn": "https://a@b/1", "sentry_dsn_file": file}
    assert ErrorTrackingSettings.model_validate(content).find_dsn() == ""
    file.write_text("https://c@d/2\n")
    assert ErrorTrackingSettings.model_validate(content).find_dsn() == "https://c@d/2"
