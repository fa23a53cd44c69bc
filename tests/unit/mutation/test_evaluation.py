"""Processes that evaluate mutants: the values that they compute, and that their own errors do not count as caught.

Proves this with processes of one line. That the checks notice mutants is measured by `make mutate`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rehearsal.toolchain import ROOT
from tests.mutation.evaluation import Child, ChildError

pytestmark = pytest.mark.process

_INSTALL = """
from tests.mutation.evaluation import install
from tests.mutation.mutants import list_mutants
from rehearsal.toolchain import ROOT
mutant = next(iter(list_mutants(ROOT, ["infra/aws"])))
install(ROOT, mutant)
"""


def test_a_child_computes_a_value() -> None:
    assert Child(lambda: ["a", 1]).finish() == ["a", 1]


def test_a_child_that_ends_unexpectedly_has_no_result() -> None:
    """As if a mutated program ended the process."""
    assert Child(lambda: os._exit(3)).finish() is None


def test_a_child_that_exceeds_the_timeout_has_no_result() -> None:
    def loop() -> None:
        while True:
            pass

    assert Child(loop, timeout=1).finish() is None


def test_an_error_of_the_evaluation_is_raised_here() -> None:
    def fail() -> None:
        raise KeyError("infra")

    with pytest.raises(ChildError, match="KeyError: 'infra'"):
        Child(fail).finish()


def test_a_process_that_has_imported_nothing_of_the_program_can_mutate_it() -> None:
    command = [sys.executable, "-c", _INSTALL]
    reply = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stderr
