"""Traces, by OpenTelemetry's own environment variables: OTEL_EXPORTER_OTLP_ENDPOINT turns them on.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from lifecycle.serving.model import Model
from lifecycle.serving.settings import Settings

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CONTEXT = TraceContextTextMapPropagator()


def provider(settings: Settings, model: Model) -> TracerProvider | None:
    """Where spans go; None when traces are off. To be shut down at the end, which sends what is left."""
    if not settings.feature_tracing or not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    service = {"service.name": os.environ.get("OTEL_SERVICE_NAME", model.name)}
    about = {**service, "groundwork.model": model.name, "groundwork.model_version": model.version}
    traces = TracerProvider(resource=Resource.create(about))
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return traces


def request(tracer: Tracer, scope: Scope) -> AbstractContextManager[Span]:
    """A server's span, below the client's own when the request carries a W3C trace context."""
    headers = {str(name, "latin-1"): str(value, "latin-1") for name, value in scope["headers"]}
    return tracer.start_as_current_span("request", context=_CONTEXT.extract(headers), kind=SpanKind.SERVER)


def conclude(span: Span, endpoint: str, status: int, request_id: str) -> None:
    """Names follow https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""
    span.update_name(f"POST {endpoint}")
    span.set_attributes(
        {"http.request.method": "POST", "http.response.status_code": status, "groundwork.request_id": request_id}
    )
    if status >= 500:
        span.set_status(StatusCode.ERROR)
