"""Fixtures and options that all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

# Test processes share the cores, for which threads of numeric libraries would only compete. They read it on import,
# here and in the processes that tests start.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# httpx loads all known authorities for each client, which takes 30 ms: here from an empty folder, since the tests
# call only this machine.
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)


# Fixtures that start processes. `make test-fast` leaves out the tests that use one.
_PROCESSES = frozenset({"mlflow_server", "prometheus", "remote"})


# Audit events of a process that starts. Source: https://docs.python.org/3/library/audit_events.html
_STARTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
_SLOWER = ("process", "slow", "soak")
_started: list[str] = []
sys.addaudithook(lambda event, _: _started.append(event) if event in _STARTS else None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and not _PROCESSES.isdisjoint(item.fixturenames):
            item.add_marker("process")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    _started.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that starts a process without the marker for it: `make test-fast` promises to start none."""
    result = yield
    if _started and not any(map(item.get_closest_marker, _SLOWER)):
        pytest.fail("It starts a process: mark it with `@pytest.mark.process`.")
    return result


# A hook of pytest-xdist, which need not be installed.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores where tests that start processes run: many of them mostly wait for those.

    With two more each has its libraries to load, which takes longer than what is gained (measured on two cores).
    """
    has_processes = "not process" not in config.option.markexpr
    return (os.cpu_count() or 1) + has_processes


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what passed only when it was run once more: each is a defect, of the test or of what it tests."""
    rerun, passed = ({report.nodeid for report in terminalreporter.getreports(end)} for end in ("rerun", "passed"))
    if flaky := sorted(rerun & passed):
        terminalreporter.section("flaky: passed only when run once more")
        for name in flaky:
            terminalreporter.line(f"FLAKY {name}")


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow, to be copied."""
    from support.mlflow_server import prepare_database

    own = tmp_path_factory.getbasetemp()
    return prepare_database(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session")
def mlflow_server(mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server's tracking URI: SQLite behind it, artifacts in a folder, webhooks to this machine allowed."""
    from support.mlflow_server import serve_mlflow  # MLflow takes seconds to import, which not all tests need

    with serve_mlflow(tmp_path_factory.mktemp("mlflow"), mlflow_database) as uri:
        yield uri
