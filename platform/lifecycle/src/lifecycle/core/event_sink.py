"""Where events go, as settings have it: `http(s)://...`, `file:///...`, or nowhere, which is an empty text."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit


def check_sink(url: str) -> str:
    """The URL as it is. Raises ValueError, for a validator of settings, when it is no sink."""
    parts = urlsplit(url)
    is_http = parts.scheme in ("http", "https") and bool(parts.netloc)
    if url and not is_http and find_sink_file(url) is None:
        raise ValueError("must be http://..., https://... or file:///an/absolute/path")
    return url


def find_sink_file(url: str) -> Path | None:
    """The file that events are appended to, where the sink is one."""
    parts = urlsplit(url)
    is_file = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
    return Path(parts.path) if is_file else None
