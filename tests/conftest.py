"""The number of tests that run at once, their order, what they inherit, and a list of flaky ones."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Sequence

import pytest

from rehearsal.process_environment import configure_process

configure_process()

# Shells start background processes with Ctrl-C ignored, which the processes that the tests interrupt would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Audit events of a process that starts. Source: https://docs.python.org/3/library/audit_events.html
_STARTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
_SLOWER = ("process", "slow", "soak")
_started: list[str] = []
sys.addaudithook(lambda event, _: _started.append(event) if event in _STARTS else None)

# Files that take minutes: if a worker began one of them last, the others would be idle at the end. The first two bring
# up the stacks whose copies azure and operations use, which would have to wait if they were among the first.
#
# pytest-xdist assigns one more file to a worker as soon as two of its tests are left. At the start, the first worker
# gets the fourth file, which is a short one since it waits for the longest test, and the third worker gets the fifth.
_LONGEST_FIRST = tuple(
    f"engine/test_{name}.py"
    for name in (
        *("lifecycle", "aws", "deployment", "stack_file", "pulumi_in_shell"),
        *("azure", "operations", "interruptions"),
    )
)


# A hook of pytest-xdist, which may not be installed.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, because many tests wait for a control plane most of the time.

    Two more would take as long, since each worker starts its own control plane (measured on two cores). If no tests
    start processes, no test waits, and another worker would only import everything again.
    """
    waits = "not process" not in config.option.markexpr
    return (os.cpu_count() or 1) + waits


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude imported modules from garbage collection: the SDKs consist of millions of lasting objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((at for at, end in enumerate(_LONGEST_FIRST) if path.endswith(end)), len(_LONGEST_FIRST))

    items.sort(key=rank)  # stable: all others stay in their order


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    _started.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a unit test that starts a process without the marker for it: `make test-fast` promises to start none."""
    result = yield
    if _started and "tests/unit" in item.path.as_posix() and not any(map(item.get_closest_marker, _SLOWER)):
        pytest.fail("It starts a process: mark it with `@pytest.mark.process`.")
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List tests that passed only when run again: each indicates a defect of the test or of the code that it tests."""

    def names(outcome: str) -> Sequence[str]:
        return [report.nodeid for report in terminalreporter.getreports(outcome)]

    flaky = sorted(set(names("rerun")) & set(names("passed")))
    if flaky:
        terminalreporter.section("flaky: passed only when run once more")
        for name in flaky:
            terminalreporter.line(f"FLAKY {name}")
