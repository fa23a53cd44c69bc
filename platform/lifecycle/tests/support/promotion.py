"""Parts of a promotion: gates with a fixed report, and a worker with real parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lifecycle.core import ModelRegistry, NotificationSettings, Notifier
from lifecycle.gate import GateReport
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Event, Inbox
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.settings import WorkerSettings
from lifecycle.promotion.worker import Gate, Worker

PASSED = GateReport(True, [], {})
FAILED = GateReport(False, ["accuracy 0.61 is below 0.9"], {"accuracy": 0.61})
FAST_RETRIES = WorkerSettings(retry_delay=0.05, max_retry_delay=0.1, poll_interval=0.02)


def passing_gate(*_: object, **__: object) -> GateReport:
    return PASSED


def failing_gate(*_: object) -> GateReport:
    return FAILED


class Promotion:
    """A worker with its parts; `run` lets it work until nothing is due."""

    def __init__(
        self,
        inbox: Inbox,
        gitops: GitopsSettings,
        uri: str,
        gate: Gate,
        notifications: NotificationSettings,
        settings: WorkerSettings = FAST_RETRIES,
    ) -> None:
        self.inbox = inbox
        self.publisher = Publisher(gitops)
        self.registry = ModelRegistry(uri, fail_fast=True)
        notifier = Notifier(notifications)
        self.worker = Worker(settings, inbox, self.registry, gate, self.publisher, notifier, gitops.stack)

    def run(self, *events: tuple[str, str, str]) -> list[Event | None]:
        for event in events:
            self.inbox.add(*event)
        self.worker.run(threading.Event(), until_idle=True)
        return [self.inbox.find(event[0]) for event in events]

    def outcomes(self, *events: tuple[str, str, str]) -> list[str]:
        return [event.outcome if event else "missing" for event in self.run(*events)]

    @contextmanager
    def working(self, *, until_idle: bool = False) -> Iterator[None]:
        """The worker in a thread, stopped at the end; with `until_idle` it ends by itself."""
        stop = threading.Event()
        thread = threading.Thread(target=self.worker.run, args=(stop,), kwargs={"until_idle": until_idle})
        thread.start()
        try:
            yield
        finally:
            if not until_idle:
                stop.set()
            thread.join()


def container_environment(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The variables of an InferenceService's container."""
    container = manifest["spec"]["predictor"]["containers"][0]
    return {variable["name"]: variable["value"] for variable in container["env"]}
