"""Declares stacks with a mutated program, each in a separate process, and reports which check notices.

A child is forked from a process that has imported everything and rendered every chart, so it only imports the program.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, Protocol

from rehearsal.kubernetes.client import ApiUnreachableError
from tests.mutation.mutants import Mutant, mutate

SURVIVED, EQUIVALENT, NOT_EXECUTED = "survived", "equivalent", "not executed"
_PROGRAM = ("infra.azure", "infra.aws", "infra.cluster", "infra.program")
_TIMEOUT = 300  # seconds; a stack takes a few
_MAX_MESSAGE = 300
# Functions that return a check's messages about a declared stack, keyed by the check's name.
Checks = Mapping[str, Callable[[Any], Iterable[str]]]
# Names of exceptions which show that the program itself does not run.
_REFUSALS = {"CloudError": "simulated cloud", "RunError": "program", "SettingsError": "program"}


@dataclass(frozen=True)
class Result:
    """The result of a mutant. `killer` is a check, or SURVIVED, EQUIVALENT or NOT_EXECUTED; `message` is the check's.

    An equivalent mutant declares the same as the program in all stacks that were tried.
    """

    id: str
    killer: str
    stack: str = ""
    message: str = ""


@dataclass(frozen=True)
class Finding:
    """The message of a check; `check` may also be the program itself, or the simulated cloud that refuses a request."""

    check: str
    message: str


class Baseline(Protocol):
    """The results of the unchanged program."""

    @property
    def checks(self) -> Checks:
        """The checks in addition to those of a declared stack."""

    def is_equivalent(self, declared: Any) -> bool:
        """Whether a DeclaredStack is the same as without the mutation."""


class _MutatedLoader(importlib.abc.Loader):
    """Executes a mutated tree in place of a module's file."""

    def __init__(self, tree: ast.Module, path: str) -> None:
        self._tree, self._path = tree, path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:  # noqa: ARG002 its signature
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, self._path, "exec"), module.__dict__)  # noqa: S102 this project's own source


class _MutatedFinder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, tree: ast.Module, path: str) -> None:
        self._module, self._tree, self._path = module, tree, path

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 its signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        folder = Path(self._path)
        is_package = folder.name == "__init__.py"
        loader = _MutatedLoader(self._tree, self._path)
        spec = importlib.machinery.ModuleSpec(fullname, loader, origin=self._path, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [str(folder.parent)]
        return spec


def install(root: Path, mutant: Mutant) -> None:
    """Make this process import the program again, with one mutated module."""
    path = root / mutant.path
    tree = mutate(path.read_text(encoding="utf-8"), mutant)
    forget_program()
    sys.meta_path.insert(0, _MutatedFinder(mutant.module, tree, str(path)))


def forget_program() -> None:
    for name in [name for name in sys.modules if name.startswith(_PROGRAM)]:
        del sys.modules[name]
    for folder in _PROGRAM:
        parent, _, name = folder.rpartition(".")
        if parent in sys.modules:
            sys.modules[parent].__dict__.pop(name, None)


class ChildError(Exception):
    """The computation of a child has failed, which is not a result of a mutant."""


class Child:
    """A forked process that computes a JSON value within a timeout."""

    def __init__(self, function: Callable[[], Any], timeout: int = _TIMEOUT) -> None:
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _work(function, writing, timeout)
        os.close(writing)

    def fileno(self) -> int:
        """A file descriptor that is readable once the process has ended."""
        return self._reading

    def finish(self) -> Any:
        """Wait for its value; None if the process ended by itself or was ended by the timeout.

        Raises ChildError with the traceback if the function raised.
        """
        with os.fdopen(self._reading) as pipe:
            text = pipe.read()
        os.waitpid(self._process, 0)
        answer = json.loads(text) if text else {"value": None}
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer["value"]


def _work(function: Callable[[], Any], writing: int, timeout: int) -> NoReturn:
    try:
        signal.alarm(timeout)
        _silence()
        try:
            answer = {"value": function()}
        except Exception:
            answer = {"error": traceback.format_exc()}
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer, pipe)
    finally:
        os._exit(0)  # without the parent's handlers and threads


def run_forked(function: Callable[[], Any]) -> Any:
    return Child(function).finish()


def start(root: Path, mutant: Mutant, stacks: Sequence[str], baseline: Baseline) -> Child:
    """Evaluate a mutant on stacks until a check notices."""
    return Child(lambda: asdict(_evaluate_here(root, mutant, stacks, baseline)))


def conclude(mutant: Mutant, child: Child) -> Result:
    answer = child.finish()
    return Result(**answer) if answer else Result(mutant.id, "program", "", "the process ended, or took too long")


def _silence() -> None:
    """Discard the output of mutated programs."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _evaluate_here(root: Path, mutant: Mutant, stacks: Sequence[str], baseline: Baseline) -> Result:
    install(root, mutant)
    is_equivalent = True
    for stack in stacks:
        declared = declare(stack)
        found = declared if isinstance(declared, Finding) else evaluate(declared, baseline.checks)
        if found:
            return Result(mutant.id, found.check, stack, found.message[:_MAX_MESSAGE])
        is_equivalent = is_equivalent and baseline.is_equivalent(declared)
    return Result(mutant.id, EQUIVALENT if is_equivalent else SURVIVED)


def declare(stack: str) -> Any:
    """A DeclaredStack, or the finding of the check that refuses it."""
    declared_stack = import_module("tests.support.declared_stack")
    try:
        return declared_stack.declare_stack(stack)
    except BaseException as error:  # a mutated program may raise anything
        return _explain(error)


def evaluate(declared: Any, further: Checks) -> Finding | None:
    """The first check that notices something in a DeclaredStack; None if none does."""
    checks: Checks = {**import_module("tests.support.stack_checks").CHECKS, **further}
    for name, check in checks.items():
        try:
            message = next(iter(check(declared)), None)
        except ApiUnreachableError:
            raise  # this is not a result of the mutant
        except Exception as error:
            return Finding(name, f"{type(error).__name__}: {error}")
        if message is not None:
            return Finding(name, message)
    return None


def _explain(error: BaseException) -> Finding:
    """The finding of an exception, which the SDK may have wrapped in others that quote its text."""
    text = f"{type(error).__name__}: {error}"
    for name, killer in _REFUSALS.items():
        if name in text or any(name in type(each).__name__ for each in _list_causes(error)):
            return Finding(killer, text)
    return Finding("program", text)


def _list_causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        current = current.__cause__ or current.__context__
    return causes
