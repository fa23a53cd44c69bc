"""How many tests run at once, in which order, what they inherit, and which of them are flaky."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Sequence

import pytest

from rehearsal.go_build import memory
from rehearsal.process_environment import configure_process

configure_process()

# Shells have what they start in the background ignore Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

_REHEARSAL_MEMORY = 5 << 30  # bytes that a rehearsal of a whole stack takes: docs/benchmarks.md

# Files that take minutes: a worker that began one of them last would work alone at the end. The first two bring up the
# stacks that azure and operations get copies of, for which they would wait if they were among the first.
#
# pytest-xdist gives a worker one more file as soon as two of its tests are left: with four workers, at the start the
# fifth to the first, where it waits for the longest test of all, so that it is a short one, and the sixth to the third.
_LONGEST_FIRST = tuple(
    f"engine/test_{name}.py"
    for name in (
        *("lifecycle", "aws", "deployment", "pulumi_in_shell", "stack_file"),
        *("scenarios", "azure", "operations", "interruptions"),
    )
)


# An option of pytest-xdist's, which need not be there.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than there are cores, as far as memory allows: many tests mostly wait for what a control plane does.

    Without tests that start processes none waits, and one more would only import everything once more.
    """
    cores = os.cpu_count() or 1
    if "not process" in config.option.markexpr:
        return cores
    return min(cores + 2, max(1, memory() // _REHEARSAL_MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is imported, now or later: the SDKs are millions of objects that stay."""
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what passed only when it was run once more: each is a defect, of the test or of what it tests."""

    def names(outcome: str) -> Sequence[str]:
        return [report.nodeid for report in terminalreporter.getreports(outcome)]

    flaky = sorted(set(names("rerun")) & set(names("passed")))
    if flaky:
        terminalreporter.section("flaky: passed only when run once more")
        for name in flaky:
            terminalreporter.line(f"FLAKY {name}")
