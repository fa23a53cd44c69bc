"""The worker: takes events from the inbox, queries the registry and the gate, and publishes accepted versions in git.

Every step can be repeated, so a worker may be killed between any two of them: the event stays in the inbox until its
last step is done, and the repository's history shows which events were committed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from lifecycle.core import (
    CHALLENGER,
    LifecycleError,
    ModelRegistry,
    ModelVersion,
    Notification,
    Notifier,
    RegisteredVersion,
    Status,
    tracing,
)
from lifecycle.core.errors import is_transient
from lifecycle.core.logs import log_context
from lifecycle.gate import GateReport
from lifecycle.gitops.git import InvalidFileError
from lifecycle.gitops.manifests import InvalidNameError, check_name
from lifecycle.gitops.publication import Publication
from lifecycle.promotion import metrics
from lifecycle.promotion.deferral import Deferral, describe, describe_event
from lifecycle.promotion.inbox import Event, Inbox, InboxError
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.settings import WorkerSettings

_REGISTRY_THREADS = 16  # they mostly wait for MLflow; gates, which compute, are limited by the settings
_PREFETCH = 64  # events that are examined at a time: while a batch is pushed, the next one is prepared

_log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")


# The status tag after an outcome. Other outcomes leave it unchanged, and no notification is sent.
_STATUS = {"promoted": Status.ROLLING_OUT, "requested": Status.REGISTERED, "rejected": Status.REJECTED}

Gate = Callable[[ModelRegistry, str, str], GateReport]
"""Evaluates a version of a registered model: registry, model, version."""


@dataclass(frozen=True)
class Decision:
    """What to do with an event."""

    outcome: Literal["promoted", "rejected", "superseded"]
    model_version: ModelVersion
    details: Sequence[str] = ()


Batch = dict[str, tuple[Event, Decision]]
"""Events to commit, by ID."""


class NotReadyError(LifecycleError):
    """The registration of the version has not finished."""


class Worker:
    """Promotes the events in the inbox. One instance per process; several processes are safe, but not faster."""

    def __init__(
        self,
        settings: WorkerSettings,
        inbox: Inbox,
        registry: ModelRegistry,
        gate: Gate,
        publisher: Publisher,
        notifier: Notifier,
        stack: str,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._registry = registry
        self._gate = gate
        self._gate_slots = threading.Semaphore(settings.gate_concurrency)
        self._publisher = publisher
        self._notifier = notifier
        self._stack = stack
        self._deferral = Deferral(settings, inbox, notifier, stack)
        self._examining: dict[Future[Decision], Event] = {}
        self._accepted: Batch = {}
        self._pushing: dict[Future[Mapping[str, Publication | InvalidFileError]], Batch] = {}
        self._finishing: dict[Future[None], Event] = {}

    def run(self, stop: threading.Event, *, until_idle: bool = False, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set, or until nothing is due; work in progress is finished first.

        `beat` is called in each iteration.

        Examining an event takes as long as the gate, and runs concurrently. All versions accepted during a push share
        the next push.
        """
        with (
            ThreadPoolExecutor(_REGISTRY_THREADS) as examiners,
            ThreadPoolExecutor(1) as pusher,
            ThreadPoolExecutor(_REGISTRY_THREADS) as finishers,
        ):
            while True:
                beat()
                try:
                    if not stop.is_set():
                        self._start_examining(examiners)
                    pending: list[Future[Any]] = [*self._examining, *self._pushing, *self._finishing]
                    if pending:
                        wait(pending, self._settings.poll_interval, FIRST_COMPLETED)
                        self._collect(finishers)
                        self._start_push(pusher)
                    elif until_idle or stop.wait(self._settings.poll_interval):
                        return
                except InboxError as error:
                    if until_idle:
                        raise
                    _log.warning("The worker is waiting for its inbox: %s", error)
                    stop.wait(self._settings.retry_delay)

    def _start_examining(self, examiners: Executor) -> None:
        batches = (self._accepted, *self._pushing.values())
        busy = {event.id for event in (*self._examining.values(), *self._finishing.values())}.union(*batches)
        for event in self._inbox.due(_PREFETCH + len(busy) - len(self._examining)):
            if event.id not in busy:
                self._examining[examiners.submit(_follow(event, "examine", self._examine), event)] = event

    def _examine(self, event: Event) -> Decision:
        """Decide based on the registry; the event may be late, out of order, or about a deleted version."""
        registered = self._registry.find_by_alias(event.model, CHALLENGER)
        if registered is None or registered.model_version.version != event.version:
            return _superseded(event, registered)
        model_version = registered.model_version
        try:
            check_name(event.model)
        except InvalidNameError as error:
            return Decision("rejected", model_version, [str(error)])
        if registered.has_failed:
            return Decision("rejected", model_version, ["its registration failed in MLflow"])
        if not registered.is_ready:
            raise NotReadyError(f"the version is {registered.state} in MLflow")
        with self._gate_slots:
            report = self._evaluate(event)
        # Evaluating the gate takes so long that a newer version may have become the challenger, and have passed.
        current = self._registry.find_by_alias(event.model, CHALLENGER)
        if current is None or current.model_version != model_version:
            return _superseded(event, current)
        return Decision("promoted" if report.passed else "rejected", model_version, list(report.reasons))

    def _evaluate(self, event: Event) -> GateReport:
        """The gate's report. A gate that cannot evaluate the version rejects it, unless trying again may help."""
        try:
            return self._gate(self._registry, event.model, event.version)
        except Exception as error:
            if is_transient(error):
                raise
            if not isinstance(error, LifecycleError):
                _log.exception("The gate failed on %s version %s", event.model, event.version)
            return GateReport(False, [f"The gate cannot evaluate it: {describe(error)}"], {})

    def _collect(self, finishers: Executor) -> None:
        """Hand the results of a stage to the next stage; defer the events of those that failed."""
        for examined, event in _pop_done(self._examining):
            with self._defer_on_error(event):
                decision = examined.result()
                if decision.outcome == "promoted":
                    self._accepted[event.id] = (event, decision)
                else:
                    self._submit_finish(finishers, event, decision, None)
        for pushed, batch in _pop_done(self._pushing):
            with self._defer_on_error(*(event for event, _ in batch.values())):
                publications = pushed.result()
                for event, decision in batch.values():
                    publication = publications[event.id]
                    if isinstance(publication, InvalidFileError):
                        self._deferral.defer(event, publication)
                    else:
                        self._submit_finish(finishers, event, decision, publication)
        for finished, event in _pop_done(self._finishing):
            with self._defer_on_error(event):
                finished.result()

    def _start_push(self, pusher: Executor) -> None:
        """Push everything that was accepted, unless a push is running."""
        if self._accepted and not self._pushing:
            promotions = {id_: decision.model_version for id_, (_, decision) in self._accepted.items()}
            self._pushing[pusher.submit(self._publisher.publish, promotions)] = self._accepted
            self._accepted = {}

    def _submit_finish(
        self, finishers: Executor, event: Event, decision: Decision, publication: Publication | None
    ) -> None:
        finish = _follow(event, "finish", self._finish)
        self._finishing[finishers.submit(finish, event, decision, publication)] = event

    def _finish(self, event: Event, decision: Decision, publication: Publication | None) -> None:
        """Set the status, notify, and mark the event as finished, in this order."""
        details = list(decision.details)
        outcome: str = decision.outcome
        if publication is not None:
            outcome = _name_outcome(publication)
            details += [detail for detail in (publication.commit, publication.pull_request) if detail]
        if outcome in _STATUS:
            self._registry.set_status(event.model, event.version, _STATUS[outcome])
            self._notifier.send(Notification(decision.model_version, self._stack, outcome, details))
        self._inbox.finish(event, outcome, "; ".join(details))
        metrics.EVENTS.labels(outcome).inc()
        metrics.DURATION.observe(time.time() - event.received, tracing.find_exemplar())

    @contextmanager
    def _defer_on_error(self, *events: Event) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            for event in events:
                self._deferral.defer(event, error)


def _follow(event: Event, stage: str, work: Callable[..., T]) -> Callable[..., T]:
    """The work on an event, in any thread, with its own span, and the event's fields in every log line."""

    def run(*arguments: Any) -> T:
        fields = describe_event(event)
        with log_context(**fields), tracing.span(f"promotion.{stage}", **fields):
            return work(*arguments)

    return run


def _name_outcome(publication: Publication) -> str:
    if not publication.commit:
        return "unchanged"
    return "requested" if publication.pull_request else "promoted"


def _superseded(event: Event, current: RegisteredVersion | None) -> Decision:
    target = "nothing" if current is None else f"version {current.model_version.version}"
    details = [f"alias `{CHALLENGER}` points to {target} now"]
    return Decision("superseded", ModelVersion(event.model, event.version), details)


def _pop_done(stage: dict[Future[T], U]) -> Iterator[tuple[Future[T], U]]:
    """Remove the finished futures from a stage, each just before it is handled."""
    for future in [future for future in stage if future.done()]:
        yield future, stage.pop(future)
