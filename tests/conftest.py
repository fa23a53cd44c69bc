"""How many tests run at once, in which order, what they inherit, and which of them are flaky."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Sequence

import pytest

from rehearsal.process_environment import configure_process

configure_process()

# Shells have what they start in the background ignore Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Files that take minutes: a worker that began one of them last would work alone at the end. The first two bring up the
# stacks that azure and operations get copies of, for which they would wait if they were among the first.
#
# pytest-xdist gives a worker one more file as soon as two of its tests are left: at the start the fourth to the first
# worker, where it waits for the longest test of all, so that it is a short one, and the fifth to the third.
_LONGEST_FIRST = tuple(
    f"engine/test_{name}.py"
    for name in (
        *("lifecycle", "aws", "deployment", "stack_file", "pulumi_in_shell"),
        *("azure", "operations", "interruptions"),
    )
)


# An option of pytest-xdist's, which need not be there.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: many tests wait, most of their time, for what a control plane does in its own.

    Two more take as long, since each starts a control plane of its own (measured on two cores). Without tests that
    start processes none waits, and one more would only import everything once more.
    """
    waits = "not process" not in config.option.markexpr
    return (os.cpu_count() or 1) + waits


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
