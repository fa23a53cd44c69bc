"""The engine, provided once for all tests; they are skipped with the reason if it is not available."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.kubernetes.control_plane import programs
from tests.support.project import Project
from tests.support.rehearsed_stacks import RehearsedStacks

pytest.register_assert_rewrite("tests.support.stack_contract")


@pytest.fixture(scope="session")
def engine() -> Path:
    try:
        return pulumi_cli.engine()
    except UserError as error:
        pytest.skip(f"no engine: {error}")


@pytest.fixture(scope="session")
def control_plane() -> None:
    reason = programs.prepare()
    if reason:
        pytest.skip(f"no control plane: {reason}")


@pytest.fixture(scope="session")
def rehearsed_stacks(engine: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> RehearsedStacks:  # noqa: ARG001 skips if there is none
    """The stacks that are brought up once for all tests, in any worker."""
    base = tmp_path_factory.getbasetemp()
    # With a blank in its name, as a user's folder may have.
    return RehearsedStacks((base if worker_id == "master" else base.parent) / "rehearsed stacks")


@pytest.fixture
def project(engine: Path, tmp_path: Path) -> Project:  # noqa: ARG001 skips if there is none
    """A fresh copy of the project, in which nothing has been rehearsed yet."""
    return Project(tmp_path)
