"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.mlflow_server import serve_mlflow

# Test processes share the cores, for which threads of numeric libraries would only compete. They read it on import,
# here and in the processes that tests start.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))


# Fixtures that start processes. `make test-fast` leaves out the tests that use one.
_PROCESSES = frozenset({"mlflow_server", "prometheus", "remote"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and not _PROCESSES.isdisjoint(item.fixturenames):
            item.add_marker("process")


# A hook of pytest-xdist, which need not be installed.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests mostly wait for processes of their own."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what passed only when it was run once more: each is a defect, of the test or of what it tests."""
    rerun, passed = ({report.nodeid for report in terminalreporter.getreports(end)} for end in ("rerun", "passed"))
    if flaky := sorted(rerun & passed):
        terminalreporter.section("flaky: passed only when run once more")
        for name in flaky:
            terminalreporter.line(f"FLAKY {name}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server's tracking URI: SQLite behind it, artifacts in a folder, webhooks to this machine allowed."""
    with serve_mlflow(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri
