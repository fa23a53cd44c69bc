"""Traces with OpenTelemetry, if the address of a collector is set; otherwise OpenTelemetry is not even imported.

Configured by OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT enables it, OTEL_TRACES_SAMPLER says which
traces are sampled. Spans wait in a bounded queue for a thread that sends them. Spans that do not fit, or cannot be
sent, are dropped. https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NAME = "lifecycle"
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

_tracer: Tracer | None = None


def is_enabled() -> bool:
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not is_disabled and any(os.environ.get(name) for name in ENDPOINTS)


def start(service: str, attributes: Mapping[str, str]) -> TracerProvider | None:
    """Trace from now on, if tracing is enabled. The caller flushes and shuts down the provider at the end.

    service  the service's name, unless OTEL_SERVICE_NAME is set
    """
    if not is_enabled():
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _tracer
    name = os.environ.get("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(resource=Resource.create({"service.name": name, **attributes}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer(_NAME)
    return provider


def stop() -> None:
    """Start no more spans."""
    global _tracer
    _tracer = None


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A span of this process's own work, if tracing is enabled; it has the type of an exception that ends it."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, attributes=attributes, record_exception=False) as current:
        try:
            yield
        except Exception as error:
            current.set_attribute("error.type", type(error).__name__)
            raise


@contextmanager
def server_span(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
    """The span of a request that has arrived, a child of the sender's span if the request has a W3C trace context."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {str(name, "latin-1"): str(value, "latin-1") for name, value in headers}
    context = TraceContextTextMapPropagator().extract(carrier)
    # The message of an exception may contain personal data.
    with _tracer.start_as_current_span(
        "request", context, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ):
        yield


def complete_server_span(method: str, endpoint: str, status: int, request_id: str) -> None:
    """Set name and attributes as in https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""
    if _tracer is None:
        return
    from opentelemetry.trace import StatusCode, get_current_span

    current = get_current_span()
    current.update_name(f"{method} {endpoint}")
    current.set_attributes(
        {"http.request.method": method, "http.response.status_code": status, "groundwork.request_id": request_id}
    )
    if status >= 500:
        current.set_status(StatusCode.ERROR)


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the W3C trace context of the current span to the headers of a request, if there is one."""
    if _tracer is None:
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    TraceContextTextMapPropagator().inject(headers)


def describe_span() -> Mapping[str, str]:
    """The IDs of the current span, for logs; empty without one."""
    if _tracer is None:
        return {}
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


def find_exemplar() -> dict[str, str] | None:
    """The label of an exemplar that leads from a metric to the current trace; None unless the trace is sampled."""
    if _tracer is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return {"trace_id": format_trace_id(context.trace_id)} if context.trace_flags.sampled else None


def find_trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The ID of the trace that the request's headers name; empty if they name none. Header names are in lower case."""
    for name, value in headers:
        if name == b"traceparent" and (found := _TRACE_PARENT.fullmatch(value)):
            return str(found[1], "ascii")
    return ""
