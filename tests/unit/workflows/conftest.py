"""The machine on which the steps of workflows run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workflow_cases import PROGRAMS
from tests.support.workflow_steps import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine", PROGRAMS)
