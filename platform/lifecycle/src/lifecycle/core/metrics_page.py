"""The metrics page for Prometheus: in OpenMetrics, which has exemplars, if requested, otherwise in the text format."""

from __future__ import annotations

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

# Otherwise OpenMetrics adds a `_created` series, the time at which each series began.
disable_created_metrics()  # type: ignore[no-untyped-call]


def render_metrics(request: Request, registry: Collector = REGISTRY) -> Response:
    """The response to a request for metrics."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), media_type=content_type)
