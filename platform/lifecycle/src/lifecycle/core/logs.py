"""Logs: one line per message, as JSON from servers, and as text from commands that people run.

A line of JSON says what the message is about: service, model and version of the process, and the request's ID, trace
and user's pseudonym if there are any. It never has the message of an unexpected exception: libraries quote the value
that they could not handle, which may be personal data. No line has the value of a feature, or a user's ID in plain
text.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from lifecycle.core import tracing
from lifecycle.core.errors import LifecycleError
from lifecycle.core.text import to_line

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_MAX_FRAMES = 12
# Libraries log too much at INFO: addresses, of which Slack's are secrets, and every request to a cloud.
_QUIET = ("azure", "httpx")

_context: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=MappingProxyType({}))


class _LineFormatter(logging.Formatter):
    """Only tracebacks take more than one line; their lines do not start with a time."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        record.message = to_line(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line: its message, `fields`, the context's fields, and those passed as `extra`."""

    def __init__(self, **fields: object) -> None:
        super().__init__()
        self._fields = fields

    def add(self, **fields: object) -> None:
        """Add fields to every line from now on."""
        self._fields = {**self._fields, **fields}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
            **self._fields,
            **tracing.describe_span(),
            **_context.get(),
        }
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD_FIELDS)
        if record.exc_info and record.exc_info[1] is not None:
            line |= describe_exception(record.exc_info[1])
        return json.dumps(line, default=str)


def describe_exception(error: BaseException) -> Mapping[str, object]:
    """Its type and where it was raised; its message only if that is written for people."""
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    described: dict[str, object] = {"error": type(error).__name__}
    if isinstance(error, LifecycleError):
        described["reason"] = str(error)
    return {**described, "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]}


def current_context() -> Mapping[str, object]:
    """The fields that `log_context` has added."""
    return _context.get()


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Add fields to every line of JSON that this thread, or this task, logs while the context lasts."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logging() -> None:
    """Log to standard error as text, at INFO and above."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    _quieten()


def configure_server_logging(**fields: object) -> None:
    """Log to standard error as JSON, at INFO and above, replacing other handlers; every line has the fields."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(**fields))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    _quieten()


def _quieten() -> None:
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Otherwise there is a line for each batch of spans that cannot be sent while the collector is down.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
