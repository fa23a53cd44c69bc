"""The worker: takes events from the inbox, asks the registry and the gate, and has what passes committed.

Every step may be repeated, so a worker may die between any two of them: the event stays in the inbox until its last
step is done, and the repository knows which events its history answers already.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from mlflow import MlflowClient

from lifecycle.gitops.manifests import Lineage, UnfitNameError, check_name
from lifecycle.promotion.inbox import Event, Inbox, InboxError
from lifecycle.promotion.notify import News, Notifier
from lifecycle.promotion.publisher import Published, Publisher
from lifecycle.promotion.registry import CHALLENGER, Candidate, Registry
from lifecycle.promotion.settings import WorkerSettings

_ASKING = 16  # threads that ask the registry: they mostly wait for it, and gates, which compute, are fewer
_AHEAD = 64  # events in examination: while a batch is pushed, the next one is on its way

_log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")


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


Batch = dict[str, tuple[Event, Verdict]]
"""Events that passed, by ID."""


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
        self._gates = threading.Semaphore(settings.at_once)
        self._publisher = publisher
        self._notifier = notifier
        self._environment = environment
        self._examined: dict[Future[Verdict], Event] = {}
        self._ready: Batch = {}
        self._pushed: dict[Future[Mapping[str, Published]], Batch] = {}
        self._finishing: dict[Future[None], Event] = {}

    def run(self, stop: threading.Event, *, until_idle: bool = False) -> None:
        """Work until told to stop, or until nothing is due; what was begun is ended first.

        Examining takes as long as the gate does and happens side by side; whatever is ready when a push is over shares
        the next one.
        """
        with (
            ThreadPoolExecutor(_ASKING) as examiners,
            ThreadPoolExecutor(1) as pushes,
            ThreadPoolExecutor(_ASKING) as ends,
        ):
            while True:
                try:
                    if not stop.is_set():
                        self._admit(examiners)
                    pending: list[Future[Any]] = [*self._examined, *self._pushed, *self._finishing]
                    if pending:
                        wait(pending, self._settings.poll, FIRST_COMPLETED)
                        self._reap(ends)
                        self._push(pushes)
                    elif until_idle or stop.wait(self._settings.poll):
                        return
                except InboxError as error:
                    if until_idle:
                        raise
                    _log.warning("The worker waits for its inbox: %s", error)
                    stop.wait(self._settings.pause)

    def _admit(self, examiners: Executor) -> None:
        batches = (self._ready, *self._pushed.values())
        busy = {event.id for event in (*self._examined.values(), *self._finishing.values())}.union(*batches)
        for event in self._inbox.waiting(_AHEAD + len(busy) - len(self._examined)):
            if event.id not in busy:
                self._examined[examiners.submit(self._examine, event)] = event

    def _examine(self, event: Event) -> Verdict:
        """Ask the registry, not the event: it may be late, out of order, or about what is no more."""
        candidate = self._registry.at(event.model, CHALLENGER)
        if candidate is None or candidate.lineage.version != event.version:
            return _superseded(event, candidate)
        try:
            check_name(event.model)
        except UnfitNameError as error:
            return Verdict("rejected", candidate.lineage, [str(error)])
        if candidate.failed:
            return Verdict("rejected", candidate.lineage, ["its registration failed in MLflow"])
        if not candidate.ready:
            raise NotYetError(f"the version is {candidate.state} in MLflow")
        with self._gates:
            report = self._gate(self._registry.client, event.model, event.version)
        # Gates take their time: meanwhile a newer version may have been asked for, and have passed.
        now = self._registry.at(event.model, CHALLENGER)
        if now is None or now.lineage != candidate.lineage:
            return _superseded(event, now)
        return Verdict("promoted" if report.passed else "rejected", candidate.lineage, list(report.reasons))

    def _reap(self, ends: Executor) -> None:
        """Hand on what has come to an end of a stage, or put it off."""
        for examined, event in _ended(self._examined):
            with self._or_later(event):
                verdict = examined.result()
                if verdict.outcome == "promoted":
                    self._ready[event.id] = (event, verdict)
                else:
                    self._finishing[ends.submit(self._finish, event, verdict, None)] = event
        for pushed, batch in _ended(self._pushed):
            with self._or_later(*(event for event, _ in batch.values())):
                published = pushed.result()
                for event, verdict in batch.values():
                    self._finishing[ends.submit(self._finish, event, verdict, published[event.id])] = event
        for finished, event in _ended(self._finishing):
            with self._or_later(event):
                finished.result()

    def _push(self, pushes: Executor) -> None:
        """Have everything committed that is ready, unless a push is under way."""
        if self._ready and not self._pushed:
            lineages = {id_: verdict.lineage for id_, (_, verdict) in self._ready.items()}
            self._pushed[pushes.submit(self._publisher.publish, lineages)] = self._ready
            self._ready = {}

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

    @contextmanager
    def _or_later(self, *events: Event) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            for event in events:
                self._put_off(event, error)

    def _put_off(self, event: Event, error: Exception) -> None:
        """Later again, and later each time. Nothing is given up: the cause may be anywhere, and people are told."""
        pause = min(self._settings.longest_pause, self._settings.pause * 2**event.attempts)
        pause *= random.uniform(0.5, 1)  # noqa: S311 (so that what failed together comes again apart)
        words = str(error) or type(error).__name__
        _log.warning("%s version %s is tried again in %.1f s: %s", event.model, event.version, pause, words)
        if event.attempts + 1 == self._settings.stuck_after:
            details = [f"{self._settings.stuck_after} attempts; the last one: {words}"]
            self._notifier.tell(News(event.model, event.version, self._environment, "stuck", details))
        self._inbox.defer(event, pause, words)


def _superseded(event: Event, candidate: Candidate | None) -> Verdict:
    now = "nothing" if candidate is None else f"version {candidate.lineage.version}"
    details = [f"alias `{CHALLENGER}` points to {now} now"]
    return Verdict("superseded", Lineage(event.model, event.version), details)


def _ended(stage: dict[Future[T], U]) -> Iterator[tuple[Future[T], U]]:
    """Take the futures that are done out of a stage, each just before it is dealt with."""
    for future in [future for future in stage if future.done()]:
        yield future, stage.pop(future)
