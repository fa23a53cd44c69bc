"""Wraps the steps of a process, which can then be killed at a chosen one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lifecycle.gitops.git import Git

Call = Callable[..., Any]


@contextmanager
def wrap_git(wrap: Callable[[str, Call], Call]) -> Iterator[None]:
    """Replace git's `fast-import` and `push`, as the steps `commit` and `push`, with what `wrap` returns."""
    original = Git.try_run
    commands = {"fast-import": wrap("commit", original), "push": wrap("push", original)}

    def try_run(self: Git, *arguments: str, stdin: bytes = b"") -> Any:
        return commands.get(arguments[0], original)(self, *arguments, stdin=stdin)

    Git.try_run = try_run  # type: ignore[method-assign]
    try:
        yield
    finally:
        Git.try_run = original  # type: ignore[method-assign]


def wrap_methods(parts: list[tuple[Any, str, str]], wrap: Callable[[str, Call], Call]) -> None:
    """Replace methods of objects, passed as (object, method, step), with what `wrap` returns."""
    for part, method, step in parts:
        setattr(part, method, wrap(step, getattr(part, method)))
