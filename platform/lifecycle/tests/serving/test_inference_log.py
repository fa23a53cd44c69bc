"""The inference log and traces: what receivers get over HTTP, and the effect if they are unavailable or full.

Proves that no request fails or waits because of the log. Delivery is not guaranteed: the log may lose events, which it
counts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lifecycle.serving.inference_log import FileSink
from support.network import HttpRequest, HttpResponse, serve_http
from support.serving import Server, expected, row, serve
from support.waiting import TIMEOUT, eventually

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def receive() -> Iterator[tuple[str, queue.Queue[tuple[str, bytes]]]]:
    """An HTTP server's URL, and what it receives: content types and bodies."""
    received: queue.Queue[tuple[str, bytes]] = queue.Queue()

    def respond(request: HttpRequest) -> HttpResponse:
        received.put((request.headers["content-type"], request.body))
        return HttpResponse(200)

    with serve_http(respond) as url:
        yield url, received


def test_predictions_are_sent_as_cloudevents_and_requests_as_spans_of_the_clients_trace(
    registry: str, tmp_path: Path
) -> None:
    with receive() as (collector, spans), receive() as (sink, events):
        environment = {"INFERENCE_LOG_SINK": sink, "USER_ID_KEY": "k", "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        with serve(registry, tmp_path, OTEL_BSP_SCHEDULE_DELAY=200, **environment) as server:
            headers = {"x-request-id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
            server.client.post("/predict", json={"features": row(), "user_id": "ada"}, headers=headers)
            assert_prediction_arrives(events)
            assert_span_arrives(spans)
            assert dropped_events(server) == 0


def dropped_events(server: Server) -> float:
    return server.metric("groundwork_inference_log_dropped_total")


def assert_prediction_arrives(events: queue.Queue[tuple[str, bytes]]) -> None:
    kind, body = events.get(timeout=TIMEOUT)
    assert kind == "application/cloudevents-batch+json"
    [event] = json.loads(body)
    assert (event["specversion"], event["type"]) == ("1.0", "dev.groundwork.inference")
    assert event["source"] == "/models/plain/versions/1"
    data = event["data"]
    assert data.pop("latency_ms") > 0
    assert data == {
        "request_id": "r-1",
        "model": "plain",
        "model_version": "1",
        "inputs": [row()],
        "outputs": {"predict": [pytest.approx(expected(row()))]},
        "user": hmac.new(b"k", b"ada", hashlib.sha256).hexdigest(),
    }


def assert_span_arrives(spans: queue.Queue[tuple[str, bytes]]) -> None:
    _, body = spans.get(timeout=TIMEOUT)
    [resource_spans] = ExportTraceServiceRequest.FromString(body).resource_spans
    [span] = resource_spans.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("POST predict", TRACE, PARENT)
    assert {"groundwork.model", "groundwork.model_version"} <= {item.key for item in resource_spans.resource.attributes}


@pytest.mark.parametrize(
    "sink", ["file:///dev/full", pytest.param("http://127.0.0.1:9/unavailable", marks=pytest.mark.soak)]
)
def test_events_lost_to_a_full_disk_or_an_unavailable_sink_are_counted_and_logged_once(
    registry: str, tmp_path: Path, sink: str
) -> None:
    with serve(registry, tmp_path, INFERENCE_LOG_SINK=sink) as server:
        for total in (10, 20):
            started = time.monotonic()
            responses = [server.client.post("/predict", json={"features": row()}) for _ in range(10)]
            assert {response.status_code for response in responses} == {200}
            assert time.monotonic() - started < 15
            eventually(lambda: dropped_events(server) == total, "the loss is counted")  # noqa: B023 (called here)
        assert len(server.find_logged("the inference log loses events")) == 1
        assert server.metric("groundwork_inference_log_events_total") == 0


def test_a_file_has_one_event_per_line_and_without_a_key_no_user(registry: str, tmp_path: Path) -> None:
    path = tmp_path / "inference.jsonl"
    with serve(registry, tmp_path, INFERENCE_LOG_SINK=path.as_uri()) as server:
        for number in range(5):
            server.client.post("/predict", json={"features": row(number, 0, 0, 0), "user_id": "grace"})
        assert server.stop() == 0, "queued events are written before the end"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["data"]["inputs"][0]["alcohol"] for event in events] == [0, 1, 2, 3, 4]
    assert len({event["id"] for event in events}) == 5
    assert "grace" not in path.read_text()
    assert all("user" not in event["data"] for event in events)


def test_a_sink_that_does_not_respond_does_not_delay_requests(registry: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serve(registry, tmp_path, INFERENCE_LOG_SINK=sink, DRAIN_TIMEOUT=6) as server:
            started = time.monotonic()
            responses = [server.client.post("/predict", json={"features": row()}) for _ in range(50)]
            assert {response.status_code for response in responses} == {200}
            assert time.monotonic() - started < 30, "much less than 50 times the sink's timeout of 5 seconds"
            started = time.monotonic()
            server.stop()
            assert time.monotonic() - started <= 9, "nor does it delay the end"


def test_feature_flags_disable_batching_tracing_and_the_log(registry: str, tmp_path: Path) -> None:
    path = tmp_path / "inference.jsonl"
    features = ("FEATURE_MICRO_BATCHING", "FEATURE_TRACING", "FEATURE_INFERENCE_LOG")
    environment = {"OTEL_BSP_SCHEDULE_DELAY": 100, "INFERENCE_LOG_SINK": path.as_uri()}
    with receive() as (collector, spans):
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, **dict.fromkeys(features, "false")}
        with serve(registry, tmp_path, **environment) as server:
            with ThreadPoolExecutor(16) as pool:
                responses = [pool.submit(server.predict, row()) for _ in range(64)]
                assert {response.result().status_code for response in responses} == {200}
            assert server.metric("groundwork_batch_rows_bucket", 'le="1.0"') == 64, "each request had its own call"
            many = server.client.post("/predict", json={"features": [row()] * 5})
            assert len(many.json()["predictions"]) == 5
            assert server.stop() == 0
        assert spans.empty()
    assert not path.exists()


def test_a_partial_line_on_a_full_disk_does_not_corrupt_the_next(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "log")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))
    try:
        sink.send([b'{"first": 1}'])
        with pytest.raises(OSError, match="bytes were written"):
            sink.send([b'{"second": 2, "long": true}'])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sink.send([b'{"third": 3}'])
    lines = (tmp_path / "log").read_text().splitlines()
    assert (lines[0], lines[-1]) == ('{"first": 1}', '{"third": 3}')
