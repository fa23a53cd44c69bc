"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from registry_server import serving_mlflow


# An option of pytest-xdist's, which need not be there.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: many tests wait, most of their time, for processes of their own."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server's tracking URI: SQLite behind it, artifacts in a folder, webhooks to this machine allowed."""
    with serving_mlflow(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri
