"""The generated documents are up to date."""

from __future__ import annotations

import pytest

from infra.reference import DOCS, documents

pytestmark = pytest.mark.usefixtures("without_collector")


@pytest.mark.parametrize("name", sorted(documents()))
def test_document_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == documents()[name], "out of date: run `make docs`"
