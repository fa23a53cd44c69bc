"""Where events are sent, as a setting: `http(s)://...`, `file:///...`, or an empty string for nowhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit


def check_sink(url: str) -> str:
    """Returns the URL unchanged. Raises ValueError, for a validator of settings, if it is not a sink."""
    parts = urlsplit(url)
    is_http = parts.scheme in ("http", "https") and bool(parts.netloc)
    if url and not is_http and find_sink_file(url) is None:
        raise ValueError("must be http://..., https://... or file:///an/absolute/path")
    return url


def find_sink_file(url: str) -> Path | None:
    """The file that events are appended to, if the sink is a file."""
    parts = urlsplit(url)
    is_file = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
    return Path(parts.path) if is_file else None
