"""Which URLs of event sinks are accepted, and which of them are files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.core.event_sink import check_sink, find_sink_file


@pytest.mark.parametrize(
    ("url", "file"),
    [("", None), ("http://sink", None), ("https://sink/path", None), ("file:///log/events", Path("/log/events"))],
)
def test_a_sink_is_an_http_address_or_a_file_or_none(url: str, file: Path | None) -> None:
    assert check_sink(url) == url
    assert find_sink_file(url) == file


@pytest.mark.parametrize("url", ["ftp://sink", "http://", "sink", "file://host/path", "file:///"])
def test_an_invalid_sink_is_refused_with_the_rule(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be http://..., https://... or file:///an/absolute/path"):
        check_sink(url)
