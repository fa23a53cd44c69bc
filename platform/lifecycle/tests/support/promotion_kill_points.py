"""A worker that is killed at a chosen point of a promotion, as a separate process or within a test."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from lifecycle.core import ModelRegistry, NotificationSettings, Notifier
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.settings import WorkerSettings
from lifecycle.promotion.worker import Worker
from support.killing import Call, wrap_git, wrap_methods
from support.promotion import passing_gate

# Every step of a promotion with an effect, in order.
STEPS = ("registry", "gate", "commit", "push", "status", "notification", "finish")
KILL_POINTS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]


class Killed(BaseException):
    """Ends a worker as a signal would: nothing catches it."""


def raise_killed() -> None:
    raise Killed


def kill_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_worker(inbox_url: str, repository: str, uri: str, kill_point: str, kill: Callable[[], None]) -> None:
    """Let a worker empty the inbox; call `kill` at the kill point, if there is one."""

    def wrap(step: str, call: Call) -> Call:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if kill_point == f"before {step}":
                kill()
            result = call(*arguments, **options)
            if kill_point == f"after {step}":
                kill()
            return result

        return wrapped

    inbox, registry = Inbox(inbox_url), ModelRegistry(uri, fail_fast=True)
    notifier, publisher = (
        Notifier(NotificationSettings()),
        Publisher(GitopsSettings(stack="dev", repository=repository)),
    )
    wrap_methods(
        [
            (registry, "find_by_alias", "registry"),
            (registry, "set_status", "status"),
            (notifier, "send", "notification"),
            (inbox, "finish", "finish"),
        ],
        wrap,
    )
    with wrap_git(wrap):
        gate = wrap("gate", passing_gate)
        worker = Worker(WorkerSettings(), inbox, registry, gate, publisher, notifier, "dev")
        worker.run(threading.Event(), until_idle=True)
