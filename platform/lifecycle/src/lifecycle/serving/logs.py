"""The log: one JSON object per line on standard error, never with a feature's value, or a user's ID in plain text."""

from __future__ import annotations

import logging
import sys

from lifecycle.core.logs import JsonFormatter

LOGGER = logging.getLogger("lifecycle.serving")


def configure(level: str, **fields: str) -> None:
    """Send every log of this process, including libraries', to standard error as JSON; every line has the fields."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(**fields))
    logging.basicConfig(level=max(level.upper(), "WARNING", key=logging.getLevelName), handlers=[handler], force=True)
    logging.captureWarnings(True)
    LOGGER.setLevel(level.upper())


def add_fields(**fields: str) -> None:
    """Add fields to every line from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.formatter.add(**fields)
