"""A running router."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.experiment import RunningRouter, run_router


@pytest.fixture
def router(tmp_path: Path) -> Iterator[RunningRouter]:
    with run_router(tmp_path) as running:
        yield running
