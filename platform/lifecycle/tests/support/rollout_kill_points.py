"""A rollout's controller in a separate process, which is killed just before a chosen step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from lifecycle.core import ModelRegistry, NotificationSettings, Notifier
from lifecycle.gitops.repository import Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.rollout.controller import Controller
from lifecycle.rollout.guardrails import Guardrails
from lifecycle.rollout.settings import RolloutSettings
from support.killing import Call, wrap_git, wrap_methods

ROWS = [{"a": number, "b": 0.5, "target": 1} for number in range(5)]


def create_controller(settings: RolloutSettings, gitops: GitopsSettings, uri: str, notify_url: str) -> Controller:
    """A controller with real parts, except for the rows of test predictions."""
    guardrails = Guardrails(settings, lambda _, number: ROWS[:number])
    notifier = Notifier(NotificationSettings(url=notify_url))
    return Controller(settings, Repository(gitops), ModelRegistry(uri, fail_fast=True), guardrails, notifier)


def run_rollout(model: str, kill_at: int, note: Path, *parts: Any) -> None:
    """Roll a model out to the end; just before the `kill_at`-th step with an effect, note its name and be killed."""
    controller, steps = create_controller(*parts), 0

    def wrap(step: str, call: Call) -> Call:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == kill_at:
                note.write_text(step)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    wrap_methods(
        [
            (controller._registry, "set_status", "status"),
            (controller._registry, "set_alias", "set alias"),
            (controller._registry, "remove_alias", "remove alias"),
            (controller._notifier, "send", "notification"),
        ],
        wrap,
    )
    with wrap_git(wrap):
        while not controller.step(model).is_done:
            continue
