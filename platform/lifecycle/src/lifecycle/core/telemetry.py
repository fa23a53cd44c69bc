"""The telemetry of a server: its log, traces, and reports of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle.core import tracing
from lifecycle.core.error_tracking import ErrorTrackingSettings, start_error_tracking
from lifecycle.core.logs import configure_server_logging
from lifecycle.core.settings import read_settings

_FLUSH_TIMEOUT = 2000  # milliseconds


@contextmanager
def observe(service: str) -> Iterator[None]:
    """Log as JSON, trace and report errors while the context lasts. Raises SettingsError."""
    configure_server_logging(service=service)
    finish = start_error_tracking(read_settings(ErrorTrackingSettings), service=service)
    provider = tracing.start(service, {})
    try:
        yield
    finally:
        tracing.stop()
        if provider is not None:
            provider.force_flush(_FLUSH_TIMEOUT)
            provider.shutdown()
        finish()
