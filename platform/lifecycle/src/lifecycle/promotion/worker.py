"""The worker: takes events from the inbox, asks the registry and the gate, and has what passes committed.

Every step may be repeated, so a worker may die between any two of them: the event stays in the inbox until its last
step is done, and the repository knows which events its history answers already.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mlflow import MlflowClient

from lifecycle.gitops.manifests import Lineage, UnfitNameError, check_name
from lifecycle.gitops.repository import RepositoryError
from lifecycle.promotion.inbox import Event, Inbox, InboxError
from lifecycle.promotion.notify import News, Notifier
from lifecycle.promotion.publisher import Published, Publisher
from lifecycle.promotion.registry import CHALLENGER, Registry
from lifecycle.promotion.settings import WorkerSettings

_AHEAD = 64  # events in examination: while a batch is pushed, the next one is on its way

_log = logging.getLogger(__name__)


# What MLflow's tag says after an outcome; the others leave it, and are no news.
_STATUS = {"promoted": "rolling-out", "requested": "registered", "rejected": "rejected"}


class GateReport(Protocol):
    """What a gate answers."""

    @property
    def passed(self) -> bool: ...

    @property
    def reasons(self) -> Sequence[str]: ...


Gate = Callable[[MlflowClient, str, str], GateReport]
"""Judges a version of a registered model: client, name, version."""


@dataclass(frozen=True)
class Verdict:
    """What is to become of an event."""

    outcome: Literal["promoted", "rejected", "superseded"]
    lineage: Lineage
    details: Sequence[str] = ()


class NotYetError(Exception):
    """The version is not registered to its end."""


class Worker:
    """Promotes what waits in the inbox. One instance per process; more processes are safe, and of no use."""

    def __init__(
        self,
        settings: WorkerSettings,
        inbox: Inbox,
        registry: Registry,
        gate: Gate,
        publisher: Publisher,
        notifier: Notifier,
        environment: str,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._registry = registry
        self._gate = gate
        self._publisher = publisher
        self._notifier = notifier
        self._environment = environment
        self._examined: dict[Future[Verdict], Event] = {}
        self._finishing: dict[Future[None], Event] = {}

    def run(self, stop: threading.Event, *, until_idle: bool = False) -> None:
        """Work until told to stop, or until nothing is due; what was begun is ended first.

        Examining takes as long as the gate does and happens side by side; whatever is ready shares one push.
        """
        with ThreadPoolExecutor(self._settings.at_once) as gates, ThreadPoolExecutor(self._settings.at_once) as ends:
            while True:
                try:
                    if not stop.is_set():
                        self._admit(gates)
                    pending: list[Future[Any]] = [*self._examined, *self._finishing]
                    if pending:
                        wait(pending, self._settings.poll, FIRST_COMPLETED)
                        self._commit(ends)
                        self._reap()
                    elif until_idle or stop.wait(self._settings.poll):
                        return
                except InboxError as error:
                    if until_idle:
                        raise
                    _log.warning("The worker waits for its inbox: %s", error)
                    stop.wait(self._settings.pause)

    def _admit(self, gates: Executor) -> None:
        busy = {event.id for event in (*self._examined.values(), *self._finishing.values())}
        for event in self._inbox.waiting(_AHEAD + len(self._finishing)):
            if event.id not in busy:
                self._examined[gates.submit(self._examine, event)] = event

    def _examine(self, event: Event) -> Verdict:
        """Ask the registry, not the event: it may be late, out of order, or about what is no more."""
        lineage = Lineage(event.model, event.version)
        candidate = self._registry.at(event.model, CHALLENGER)
        if candidate is None or candidate.lineage.version != event.version:
            now = "nothing" if candidate is None else f"version {candidate.lineage.version}"
            return Verdict("superseded", lineage, [f"alias `{CHALLENGER}` points to {now} now"])
        try:
            check_name(event.model)
        except UnfitNameError as error:
            return Verdict("rejected", candidate.lineage, [str(error)])
        if candidate.failed:
            return Verdict("rejected", candidate.lineage, ["its registration failed in MLflow"])
        if not candidate.ready:
            raise NotYetError(f"the version is {candidate.state} in MLflow")
        report = self._gate(self._registry.client, event.model, event.version)
        return Verdict("promoted" if report.passed else "rejected", candidate.lineage, list(report.reasons))

    def _commit(self, ends: Executor) -> None:
        """Commit what passed, and hand everything that was examined on to its last steps."""
        ready: dict[str, tuple[Event, Verdict]] = {}
        for future in [future for future in self._examined if future.done()]:
            event = self._examined.pop(future)
            try:
                ready[event.id] = (event, future.result())
            except Exception as error:
                self._put_off(event, error)
        passed = {id_: verdict.lineage for id_, (_, verdict) in ready.items() if verdict.outcome == "promoted"}
        try:
            published = self._publisher.publish(passed) if passed else {}
        except RepositoryError as error:
            for id_ in passed:
                self._put_off(ready.pop(id_)[0], error)
            published = {}
        for id_, (event, verdict) in ready.items():
            self._finishing[ends.submit(self._finish, event, verdict, published.get(id_))] = event

    def _finish(self, event: Event, verdict: Verdict, published: Published | None) -> None:
        """Tag, tell, tick off."""
        details = list(verdict.details)
        outcome: str = verdict.outcome
        if published is not None:
            outcome = published.outcome
            details += [fact for fact in (published.commit, published.request) if fact]
        if outcome in _STATUS:
            self._registry.mark(event.model, event.version, _STATUS[outcome])
            self._notifier.tell(News(event.model, event.version, self._environment, outcome, details))
        self._inbox.finish(event, outcome, "; ".join(details))

    def _reap(self) -> None:
        for future in [future for future in self._finishing if future.done()]:
            event = self._finishing.pop(future)
            try:
                future.result()
            except Exception as error:
                self._put_off(event, error)

    def _put_off(self, event: Event, error: Exception) -> None:
        """Later again, and later each time. Nothing is given up: the cause may be anywhere, and people are told."""
        pause = min(self._settings.longest_pause, self._settings.pause * 2**event.attempts)
        words = str(error) or type(error).__name__
        _log.warning("%s version %s is tried again in %g s: %s", event.model, event.version, pause, words)
        if event.attempts + 1 == self._settings.stuck_after:
            details = [f"{self._settings.stuck_after} attempts; the last one: {words}"]
            self._notifier.tell(News(event.model, event.version, self._environment, "stuck", details))
        self._inbox.defer(event, pause, words)
