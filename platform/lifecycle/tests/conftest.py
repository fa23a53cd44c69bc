"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_server import serving_mlflow


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server's tracking URI: SQLite behind it, artifacts in a folder, webhooks to this machine allowed."""
    with serving_mlflow(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri
