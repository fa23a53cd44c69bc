"""A worker that dies at a chosen point of a promotion, as a process of its own or within a test."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from lifecycle.gitops.git import Git
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.registry import Registry
from lifecycle.promotion.settings import NotifySettings, WorkerSettings
from lifecycle.promotion.worker import Worker
from promotion_parts import passing

# Every step of a promotion that leaves a trace somewhere, in order.
STEPS = ("registry", "gate", "commit", "push", "tag", "tell", "tick off")
POINTS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]


class Killed(BaseException):
    """What a process meets that is killed: nothing of its own runs after it."""


def die_by_exception() -> None:
    raise Killed


def die_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(inbox_url: str, repository: str, uri: str, point: str, die: Callable[[], None]) -> None:
    """Let a worker empty the inbox; at `point` it dies, empty for never."""

    def watched(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if point == f"before {step}":
                die()
            answer = call(*arguments, **options)
            if point == f"after {step}":
                die()
            return answer

        return wrapper

    inbox, registry, notifier = Inbox(inbox_url), Registry(uri), Notifier(NotifySettings())
    publisher = Publisher(GitopsSettings(repository=repository))
    attempt = Git.attempt
    importing, pushing = watched("commit", attempt), watched("push", attempt)

    def git(self: Git, *arguments: str, given: bytes = b"") -> Any:
        call = {"fast-import": importing, "push": pushing}.get(arguments[0], attempt)
        return call(self, *arguments, given=given)

    parts: list[tuple[Any, str, str]] = [
        (registry, "at", "registry"),
        (registry, "mark", "tag"),
        (notifier, "tell", "tell"),
        (inbox, "finish", "tick off"),
    ]
    for part, method, step in parts:
        setattr(part, method, watched(step, getattr(part, method)))
    Git.attempt = git  # type: ignore[method-assign]
    try:
        worker = Worker(WorkerSettings(), inbox, registry, watched("gate", passing), publisher, notifier, "dev")
        worker.run(threading.Event(), until_idle=True)
    finally:
        Git.attempt = attempt  # type: ignore[method-assign]
