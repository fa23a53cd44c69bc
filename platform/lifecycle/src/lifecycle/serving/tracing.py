"""Traces, configured by OpenTelemetry's environment variables: OTEL_EXPORTER_OTLP_ENDPOINT enables them.

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

from lifecycle.core import ModelVersion
from lifecycle.serving.settings import ServingSettings

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CONTEXT = TraceContextTextMapPropagator()


def create_provider(settings: ServingSettings, model_version: ModelVersion) -> TracerProvider | None:
    """The provider of tracers; None when tracing is disabled."""
    if not settings.feature_tracing or not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    attributes = {
        "service.name": os.environ.get("OTEL_SERVICE_NAME", model_version.model),
        "groundwork.model": model_version.model,
        "groundwork.model_version": model_version.version,
    }
    provider = TracerProvider(resource=Resource.create(attributes))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def start_span(tracer: Tracer, scope: Scope) -> AbstractContextManager[Span]:
    """A server span, a child of the client's span when the request has a W3C trace context."""
    headers = {str(name, "latin-1"): str(value, "latin-1") for name, value in scope["headers"]}
    return tracer.start_as_current_span("request", context=_CONTEXT.extract(headers), kind=SpanKind.SERVER)


def complete_span(span: Span, endpoint: str, status: int, request_id: str) -> None:
    """Set name and attributes, by https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""
    span.update_name(f"POST {endpoint}")
    span.set_attributes(
        {"http.request.method": "POST", "http.response.status_code": status, "groundwork.request_id": request_id}
    )
    if status >= 500:
        span.set_status(StatusCode.ERROR)
