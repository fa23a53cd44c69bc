"""Fixtures of real parts that several packages' tests import into their conftest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.registered_models import RegisteredModels


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    """A bare repository with an empty folder of the stack `dev` on its branch `main`."""
    return GitRemote.create(tmp_path / "remote.git")


@pytest.fixture
def gitops(remote: GitRemote) -> GitopsSettings:
    return GitopsSettings(stack="dev", repository=str(remote.path))


@pytest.fixture
def models(mlflow_server: str) -> RegisteredModels:
    return RegisteredModels(mlflow_server)


@pytest.fixture
def notifications() -> Iterator[JsonReceiver]:
    """A server that receives notifications."""
    with JsonReceiver().running() as running:
        yield running


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox(f"sqlite:///{tmp_path}/inbox.db")
    yield opened
    opened.close()
