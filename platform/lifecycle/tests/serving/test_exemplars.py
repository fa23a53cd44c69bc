"""From the histogram of response times to a trace, over all workers of a server.

Proves that Prometheus, which requests OpenMetrics, gets an exemplar with the trace of a request in the bucket of its
time, from any worker, and the same counts as in its old format; and that there are no exemplars without a collector of
traces.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from serving.test_inference_log import receive
from support.serving import Server, row, serve
from support.waiting import eventually

pytestmark = pytest.mark.process

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
OPEN_METRICS = {"accept": "application/openmetrics-text;version=1.0.0"}


def find_exemplars(server: Server) -> set[str]:
    page = server.client.get("/metrics", headers=OPEN_METRICS)
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    samples = [sample for family in text_string_to_metric_families(page.text) for sample in family.samples]
    (count,) = [
        sample.value
        for sample in samples
        if sample.name == "groundwork_request_seconds_count" and sample.labels["endpoint"] == "predict"
    ]
    assert count == server.metric("groundwork_request_seconds_count", 'endpoint="predict"')
    return {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar}


def test_a_bucket_leads_to_the_trace_of_a_request(registry: str, tmp_path: Path) -> None:
    with (
        receive() as (collector, _),
        serve(registry, tmp_path, WORKERS=2, OTEL_EXPORTER_OTLP_ENDPOINT=collector) as server,
    ):
        server.client.post("/predict", json={"features": row()}, headers=HEADERS)
        eventually(lambda: find_exemplars(server) == {TRACE}, "the exemplar is there")


def test_without_a_collector_there_are_no_exemplars(registry: str, tmp_path: Path) -> None:
    with serve(registry, tmp_path) as server:
        server.client.post("/predict", json={"features": row()}, headers=HEADERS)
        assert find_exemplars(server) == set()
