"""The log: one JSON object per line on standard error. It never contains a feature's value."""

from __future__ import annotations

import logging
import sys
import time
import traceback

import orjson

LOGGER = logging.getLogger("lifecycle.serving")
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Formats a record, with the fields passed as `extra`, as one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
        }
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD_FIELDS)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = _stack(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def configure(level: str) -> None:
    """Send every log of this process, those of libraries too, to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=max(level.upper(), "WARNING", key=logging.getLevelName), handlers=[handler], force=True)
    logging.captureWarnings(True)
    LOGGER.setLevel(level.upper())


def _stack(error: BaseException | None) -> list[str]:
    """Where an exception was raised. Its message is left out: libraries quote offending values in it."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
