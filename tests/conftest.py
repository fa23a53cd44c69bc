"""How many tests run at once."""

from __future__ import annotations

import os

import pytest


# An option of pytest-xdist's, which need not be there.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait, most of their time, for what a control plane does in its own."""
    return (os.cpu_count() or 1) + 1
