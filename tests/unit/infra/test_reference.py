"""The generated documents are those that the code generates now."""

from __future__ import annotations

import pytest

from infra.reference import DOCS, documents


@pytest.mark.parametrize("name", sorted(documents()))
def test_document_is_fresh(name: str) -> None:
    assert (DOCS / name).read_text() == documents()[name], "stale: run `make docs`"
