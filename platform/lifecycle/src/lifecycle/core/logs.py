"""Logs of the processes of promotion, rollout and experiments: one line a message, whatever text it quotes."""

from __future__ import annotations

import logging

from lifecycle.core.text import to_line


class _LineFormatter(logging.Formatter):
    """Only tracebacks, which start no line with a time, take more than one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        record.message = to_line(record.message)
        return super().formatMessage(record)


def configure_logging() -> None:
    """Log to standard error, from INFO on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and Slack's are secrets
