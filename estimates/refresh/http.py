"""Reads JSON from a public price list."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

_TIMEOUT = 60  # seconds without a byte


class PriceListError(Exception):
    """A list cannot be read, or is not in its documented form; nothing has been written."""


def read_json(url: str, cache: Path | None = None) -> dict[str, Any]:
    """The object at a URL; a `cache` stores it for the next request. Raises PriceListError."""
    if cache and cache.exists():
        return cast("dict[str, Any]", json.loads(cache.read_text()))
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as reply:  # noqa: S310 the lists' own addresses
            text = reply.read().decode()
        content = json.loads(text)
    except (OSError, http.client.HTTPException, UnicodeDecodeError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise PriceListError(f"the price list {url} cannot be read: {reason}") from None
    if not isinstance(content, dict):
        raise PriceListError(f"the price list {url} is not an object, as documented")
    if cache:
        cache.write_text(text)
    return content
