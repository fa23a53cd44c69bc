"""A rollout's controller as a process of its own, that a SIGKILL ends just before a chosen step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle.gitops.git import Git
from lifecycle.gitops.repository import Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.registry import Registry
from lifecycle.promotion.settings import NotifySettings
from lifecycle.rollout.controller import Controller
from lifecycle.rollout.guardrails import Guardrails
from lifecycle.rollout.settings import RolloutSettings

ROWS = [{"a": number, "b": 0.5, "target": 1} for number in range(5)]


def controller(settings: RolloutSettings, gitops: GitopsSettings, uri: str, news: str) -> Controller:
    """A controller of real parts, but for the rows that it has predicted."""
    guardrails = Guardrails(settings, lambda _, number: ROWS[:number])
    return Controller(settings, Repository(gitops), Registry(uri), guardrails, Notifier(NotifySettings(url=news)))


def roll(model: str, deadly: int, note: Path, *parts: Any) -> None:
    """Roll a model out to the end; before the `deadly`-th step that leaves a trace write its name down, and die."""
    made, steps = controller(*parts), 0

    def watched(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == deadly:
                note.write_text(step)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapper

    attempt = Git.attempt
    commands = {"fast-import": watched("commit", attempt), "push": watched("push", attempt)}

    def git(self: Git, *arguments: str, given: bytes = b"") -> Any:
        return commands.get(arguments[0], attempt)(self, *arguments, given=given)

    Git.attempt = git  # type: ignore[method-assign]
    for part, method in (
        (made._registry, "mark"),
        (made._registry, "point"),
        (made._registry, "withdraw"),
        (made._notifier, "tell"),
    ):
        setattr(part, method, watched(method, getattr(part, method)))
    while not made.step(model).done:
        continue
