"""The engine, once for all tests; where it cannot be had they are skipped with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.cluster import binaries
from rehearsal.console import UserError
from rehearsal.engine import bootstrap
from tests.engine.project import Project


@pytest.fixture(scope="session")
def engine() -> Path:
    try:
        return bootstrap.engine()
    except UserError as error:
        pytest.skip(f"no engine: {error}")


@pytest.fixture(scope="session")
def control_plane() -> None:
    reason = binaries.ready()
    if reason:
        pytest.skip(f"no control plane: {reason}")


@pytest.fixture
def project(engine: Path, tmp_path: Path) -> Project:  # noqa: ARG001 skips where there is none
    """A fresh copy of the project, in which nothing has been rehearsed."""
    return Project(tmp_path)


@pytest.fixture(scope="session")
def rehearsed(
    engine: Path,  # noqa: ARG001 skips where there is none
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Project, str]]:
    """A copy of the project in which the stack has been rehearsed, and what was printed.

    Tests leave it as it is, but for the last, which takes it down.
    """
    done: dict[str, tuple[Project, str]] = {}

    def rehearse(stack: str) -> tuple[Project, str]:
        if stack not in done:
            project = Project(tmp_path_factory.mktemp(stack))
            run = project.rehearse("up", stack)
            assert run.code == 0, run.text
            done[stack] = (project, run.text)
        return done[stack]

    return rehearse
