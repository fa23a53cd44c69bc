"""Reports errors to a service that speaks Sentry's protocol, if its address (DSN) is set.

Each error in the log becomes an event with the message, the type of the exception and where it was raised, and the IDs
in the log line. Nothing else is collected: no request, no variables, no user, no message of an unexpected exception.
A thread sends the events, and drops them if there are more than it can send. Of equal events, only a few per minute are
reported.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.core import tracing
from lifecycle.core.errors import SettingsError
from lifecycle.core.logs import current_context, describe_exception
from lifecycle.core.text import to_line

_MAX_REPORTS = 5  # equal events in _PERIOD seconds
_PERIOD = 60.0
_MAX_KINDS = 1000  # kinds of events that are counted
_FLUSH_TIMEOUT = 2.0  # seconds
# The only fields of an event that leave the process, even if a library adds others.
_KEPT = frozenset(
    {"contexts", "environment", "event_id", "exception", "fingerprint", "level", "logentry", "logger", "platform"}
    | {"release", "sdk", "tags", "timestamp"}
)
_TAGS = ("service", "model", "version", "trace_id", "request_id")

_log = logging.getLogger(__name__)


class ErrorTrackingSettings(BaseSettings):
    """Where errors are reported; they are not reported unless one of the two addresses is set."""

    model_config = SettingsConfigDict(extra="ignore")

    sentry_dsn: SecretStr | None = Field(
        None, description="address of a project (DSN); no errors are reported if unset"
    )
    sentry_dsn_file: Path | None = Field(
        None, description="a file with the DSN, which takes the place of SENTRY_DSN; it may be missing"
    )
    sentry_environment: str = Field("", description="the environment that reports name, such as `prod`")

    def find_dsn(self) -> str:
        """The address; empty if no errors are reported."""
        if self.sentry_dsn_file is not None:
            try:
                return self.sentry_dsn_file.read_text().strip()
            except OSError:
                return ""
        return self.sentry_dsn.get_secret_value() if self.sentry_dsn else ""


def start_error_tracking(settings: ErrorTrackingSettings, **tags: str) -> Callable[[], None]:
    """Report errors from now on, if there is an address. Returns a function that sends the remaining ones at the end.

    Raises SettingsError if the address is not valid.
    """
    dsn = settings.find_dsn()
    if not dsn:
        return lambda: None
    import sentry_sdk
    from sentry_sdk.utils import BadDsn

    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=settings.sentry_environment or None,
            # Events are built here, so that they contain nothing else.
            default_integrations=False,
            auto_enabling_integrations=False,
            data_collection={"user_info": False, "http_bodies": []},
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            server_name="",
            before_send=scrub,
        )
    except BadDsn:
        raise SettingsError(
            "the value of SENTRY_DSN, or of the file SENTRY_DSN_FILE, is not a valid DSN: must be like "
            "https://<key>@<host>/<project>; change it, or unset it"
        ) from None
    handler = _Handler(tags, sentry_sdk.capture_event)
    logging.getLogger().addHandler(handler)

    def finish() -> None:
        logging.getLogger().removeHandler(handler)
        sentry_sdk.get_client().close(timeout=_FLUSH_TIMEOUT)

    return finish


def scrub(event: Any, hint: Any) -> Any:  # noqa: ARG001
    """The event, with only the fields that are known to contain no personal data."""
    return {key: value for key, value in event.items() if key in _KEPT}


class _Handler(logging.Handler):
    def __init__(self, tags: Mapping[str, str], report: Callable[[Any], object]) -> None:
        super().__init__(logging.ERROR)
        self._tags = tags
        self._report = report
        self._limit = Limit()

    def emit(self, record: logging.LogRecord) -> None:
        # A failed request has its own log line, which follows the line about the cause.
        if record.name.startswith("sentry_sdk") or hasattr(record, "duration_ms"):
            return
        error = record.exc_info[1] if record.exc_info else None
        kind = (record.name, str(record.msg), type(error).__name__)
        if not self._limit.allows(kind):
            return
        try:
            self._report(_build_event(record, error, kind, self._tags))
        except Exception:
            self.handleError(record)


class Limit:
    """Allows a few events of each kind per period."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[object, int] = {}
        self._started = clock()

    def allows(self, kind: object) -> bool:
        with self._lock:
            now = self._clock()
            if now - self._started > _PERIOD:
                self._started = now
                self._counts.clear()
            if kind not in self._counts and len(self._counts) >= _MAX_KINDS:
                return False
            self._counts[kind] = self._counts.get(kind, 0) + 1
            return self._counts[kind] <= _MAX_REPORTS


def _build_event(
    record: logging.LogRecord, error: BaseException | None, kind: tuple[str, ...], tags: Mapping[str, str]
) -> Mapping[str, Any]:
    """https://develop.sentry.dev/sdk/data-model/event-payloads/"""
    known = {**tags, **tracing.describe_span(), **current_context(), **vars(record)}
    event: dict[str, Any] = {
        "level": record.levelname.lower(),
        "logger": record.name,
        "logentry": {"message": to_line(record.getMessage())},
        "tags": {name: str(known[name]) for name in _TAGS if known.get(name)},
        "fingerprint": list(kind),
    }
    if error is not None:
        event["exception"] = {"values": [_describe(error)]}
    return event


def _describe(error: BaseException) -> Mapping[str, Any]:
    described = describe_exception(error)
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append({"filename": code.co_filename, "function": code.co_name, "lineno": traceback.tb_lineno})
        traceback = traceback.tb_next
    return {
        "type": described["error"],
        "value": described.get("reason", ""),
        "module": type(error).__module__,
        "stacktrace": {"frames": frames},
    }
