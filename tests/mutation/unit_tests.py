"""Runs the project's own unit tests with a mutated program.

They compare the program with what is intended, such as which alerts there are or who can sign in, while the checks of a
rehearsal evaluate what is declared. Therefore they are run last, on mutants that no check has noticed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.mutation.evaluation import Child, Result, install
from tests.mutation.mutants import Mutant

KILLER = "unit tests"
TIMEOUT = 1800  # seconds for all of them
_FOLDERS = ("tests/unit/infra", "tests/unit/policies/test_mutations.py", "tests/unit/estimates/test_stacks.py")
# Modules that have names of the program and are therefore imported again with it.
_IMPORTED = ("tests.support", "tests.unit", "infra.reference", "infra.parity")


class _FirstFailure:
    """Records which test has failed."""

    def __init__(self) -> None:
        self.name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid


def start(root: Path, mutant: Mutant) -> Child:
    """Run the tests until one fails."""
    return Child(lambda: run_here(root, mutant), TIMEOUT)


def conclude(mutant: Mutant, child: Child, survived: Result) -> Result:
    """The result, with the first test that fails; if none fails, the mutant survives the tests too."""
    failed: str | None = child.finish()
    if failed is None:
        return Result(mutant.id, KILLER, "", "the process ended, or took too long")
    return Result(mutant.id, KILLER, "", failed) if failed else survived


def run_here(root: Path, mutant: Mutant | None) -> str:
    """The name of the first test that fails in this process; empty if all pass.

    Raises RuntimeError if pytest ends otherwise.
    """
    os.chdir(root)
    if mutant:
        install(root, mutant)
    for name in [name for name in sys.modules if name.startswith(_IMPORTED)]:
        del sys.modules[name]
    failure = _FirstFailure()
    # Python's own tracebacks: pytest parses the source for its own, which can fail on Python 3.11 in a deep recursion.
    options = ["-x", "-q", "--tb=native", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:rerunfailures"]
    files = _order(root, mutant.module if mutant else "")
    code = pytest.main([*options, "-m", "not process and not soak", *files], plugins=[failure])
    if not failure.name and code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code!r}, and no test failed")
    return failure.name


def _order(root: Path, module: str) -> Sequence[str]:
    """Put the tests that import a module first."""
    files = [path for folder in _FOLDERS for path in sorted((root / folder).rglob("test_*.py")) or [root / folder]]
    texts: Mapping[Path, str] = {path: path.read_text(encoding="utf-8") for path in files}
    return [str(path) for path in sorted(files, key=lambda path: not (module and module in texts[path]))]
