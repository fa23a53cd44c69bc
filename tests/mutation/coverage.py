"""Which lines of the program each stack executes."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from tests.mutation.evaluation import forget_program, run_forked
from tests.mutation.mutants import FOLDERS, Mutant


def trace_stack(root: Path, stack: str) -> Mapping[str, set[int]]:
    """The numbers of the lines that are executed when a stack is declared, keyed by path of the file."""
    lines = run_forked(lambda: _trace_here(root, stack))
    assert lines is not None, f"{stack} cannot be declared"
    return {path: set(numbers) for path, numbers in lines.items()}


def _trace_here(root: Path, stack: str) -> Mapping[str, list[int]]:
    from tests.support.declared_stack import declare_stack

    prefixes = tuple(str(root / folder) for folder in FOLDERS)
    executed: dict[str, set[int]] = defaultdict(set)

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001 its signature
        if not frame.f_code.co_filename.startswith(prefixes):
            return None
        executed[frame.f_code.co_filename].add(frame.f_lineno)
        return trace

    forget_program()
    sys.settrace(trace)
    try:
        declare_stack(stack)
    finally:
        sys.settrace(None)
    return {str(Path(path).relative_to(root)): sorted(lines) for path, lines in executed.items()}


def is_executed(mutant: Mutant, lines: Mapping[str, set[int]]) -> bool:
    return mutant.line in lines.get(mutant.path, ())
