"""The inference log and traces: what arrives at real receivers over HTTP, and what a dead or full one costs.

Proves that no request fails or waits for its log. Does not prove delivery: a log that may not delay requests may lose
events, and then counts them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from served import Server, expected, row, serving, wait_until

from lifecycle.serving.inference_log import FileSink

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def receiver() -> Iterator[tuple[str, queue.Queue[tuple[str, bytes]]]]:
    """An HTTP server's URL, and what it gets: content types and bodies."""
    got: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put((self.headers["content-type"], self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def test_predictions_arrive_as_cloudevents_and_requests_as_spans_of_the_clients_trace(
    registry: str, tmp_path: Path
) -> None:
    with receiver() as (collector, spans), receiver() as (sink, events):
        told = {"INFERENCE_LOG_SINK": sink, "USER_ID_KEY": "k", "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        with serving(registry, tmp_path, OTEL_BSP_SCHEDULE_DELAY=200, **told) as server:
            headers = {"x-request-id": "r-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
            server.client.post("/predict", json={"features": row(), "user_id": "ada"}, headers=headers)
            prediction_arrives(events)
            span_arrives(spans)
            assert lost(server) == 0


def lost(server: Server) -> float:
    return server.metric("groundwork_inference_log_dropped_total")


def prediction_arrives(events: queue.Queue[tuple[str, bytes]]) -> None:
    kind, body = events.get(timeout=60)
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


def span_arrives(spans: queue.Queue[tuple[str, bytes]]) -> None:
    _, body = spans.get(timeout=60)
    [resource_spans] = ExportTraceServiceRequest.FromString(body).resource_spans
    [span] = resource_spans.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("POST predict", TRACE, PARENT)
    assert {"groundwork.model", "groundwork.model_version"} <= {item.key for item in resource_spans.resource.attributes}


@pytest.mark.parametrize("sink", ["file:///dev/full", "http://127.0.0.1:9/dead"])
def test_a_full_disk_and_a_dead_sink_fail_nobody_are_counted_and_said_once(
    registry: str, tmp_path: Path, sink: str
) -> None:
    with serving(registry, tmp_path, INFERENCE_LOG_SINK=sink) as server:
        for total in (10, 20):
            started = time.monotonic()
            replies = [server.client.post("/predict", json={"features": row()}) for _ in range(10)]
            assert {reply.status_code for reply in replies} == {200}
            assert time.monotonic() - started < 15
            wait_until(lambda: lost(server) == total, "the loss is counted")  # noqa: B023 (waited for here)
        assert len(server.said("the inference log loses events")) == 1
        assert server.metric("groundwork_inference_log_events_total") == 0


def test_a_file_gets_one_event_per_line_and_without_a_key_no_user(registry: str, tmp_path: Path) -> None:
    path = tmp_path / "inference.jsonl"
    with serving(registry, tmp_path, INFERENCE_LOG_SINK=path.as_uri()) as server:
        for number in range(5):
            server.client.post("/predict", json={"features": row(number, 0, 0, 0), "user_id": "ada"})
        assert server.stop() == 0, "what is queued is written before the end"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["data"]["inputs"][0]["alcohol"] for event in events] == [0, 1, 2, 3, 4]
    assert len({event["id"] for event in events}) == 5
    assert "ada" not in path.read_text()
    assert all("user" not in event["data"] for event in events)


def test_a_sink_that_never_answers_slows_nobody(registry: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serving(registry, tmp_path, INFERENCE_LOG_SINK=sink, DRAIN_TIMEOUT=6) as server:
            started = time.monotonic()
            replies = [server.client.post("/predict", json={"features": row()}) for _ in range(50)]
            assert {reply.status_code for reply in replies} == {200}
            assert time.monotonic() - started < 30, "far shorter than 50 times the sink's patience of 5 seconds"
            started = time.monotonic()
            server.stop()
            assert time.monotonic() - started <= 9, "nor does it hold up the end"


def test_the_feature_flags_turn_batching_and_tracing_off(registry: str, tmp_path: Path) -> None:
    told = {"FEATURE_MICRO_BATCHING": "false", "FEATURE_TRACING": "false", "OTEL_BSP_SCHEDULE_DELAY": 100}
    with receiver() as (collector, spans):
        with serving(registry, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector, **told) as server:
            with ThreadPoolExecutor(16) as pool:
                asked = [
                    pool.submit(
                        httpx.post, f"{server.client.base_url}/predict", json={"features": row()}, trust_env=False
                    )
                    for _ in range(64)
                ]
                assert {reply.result().status_code for reply in asked} == {200}
            assert server.metric("groundwork_batch_rows_bucket", 'le="1.0"') == 64, "each had a call of its own"
            many = server.client.post("/predict", json={"features": [row()] * 5})
            assert len(many.json()["predictions"]) == 5
            assert server.stop() == 0
        assert spans.empty()


def test_the_feature_flag_turns_the_log_off(registry: str, tmp_path: Path) -> None:
    path = tmp_path / "inference.jsonl"
    with serving(registry, tmp_path, INFERENCE_LOG_SINK=path.as_uri(), FEATURE_INFERENCE_LOG="false") as server:
        assert server.client.post("/predict", json={"features": row()}).status_code == 200
        assert server.stop() == 0
    assert not path.exists()


def test_a_line_cut_off_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "log")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))
    try:
        sink.send([b'{"first": 1}'])
        with pytest.raises(OSError, match="bytes went into"):
            sink.send([b'{"second": 2, "long": true}'])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sink.send([b'{"third": 3}'])
    lines = (tmp_path / "log").read_text().splitlines()
    assert (lines[0], lines[-1]) == ('{"first": 1}', '{"third": 3}')
