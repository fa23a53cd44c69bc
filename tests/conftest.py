"""How many tests run at once, and what they inherit."""

from __future__ import annotations

import os
import signal

import pytest

# Shells have what they start in the background ignore Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


# An option of pytest-xdist's, which need not be there.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait, most of their time, for what a control plane does in its own."""
    return (os.cpu_count() or 1) + 1
