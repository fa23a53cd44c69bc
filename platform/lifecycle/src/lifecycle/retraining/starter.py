"""Decides whether a training run starts, and starts it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from lifecycle.core import tracing
from lifecycle.core.logs import log_context
from lifecycle.retraining import metrics
from lifecycle.retraining.jobs import EVENT, Job, build_manifest, read_template
from lifecycle.retraining.kubernetes_client import ConflictError, KubernetesClient
from lifecycle.retraining.settings import RetrainingSettings
from lifecycle.retraining.triggers import TrainingRequest

_log = logging.getLogger(__name__)


class Answer(StrEnum):
    """The result of a request."""

    STARTED = "started"
    UNKNOWN = "unknown-model"
    RUNNING = "running"
    COOLING_DOWN = "cooling-down"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Decision:
    """The answer to one request, and why in a sentence; `job` is the name of the run's Job, if one was started."""

    model: str
    answer: Answer
    reason: str
    job: str = ""


class Starter:
    def __init__(
        self,
        settings: RetrainingSettings,
        client: KubernetesClient,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock

    def start(self, request: TrainingRequest, *, is_forced: bool = False) -> Decision:
        """Start a run, or return why not.

        is_forced  start it even during the model's cool-down, or if the event has already started a run

        Raises UnavailableError; LifecycleError if the template is not valid.
        """
        with log_context(model=request.model), tracing.span("retraining.start", model=request.model):
            decision = self._decide(request, is_forced)
            metrics.REQUESTS.labels(str(request.trigger), str(decision.answer)).inc()
            _log.info("%s: %s (%s): %s", request.model, request.trigger, decision.answer, decision.reason)
        return decision

    def _decide(self, request: TrainingRequest, is_forced: bool) -> Decision:
        if request.model not in self._settings.models:
            return Decision(request.model, Answer.UNKNOWN, "RETRAINING_MODELS does not have this model")
        jobs = self._client.list_jobs(request.model)
        refusal = self._find_refusal(jobs, request, is_forced)
        if refusal:
            return refusal
        number = max((job.number for job in jobs), default=0) + 1
        manifest = build_manifest(read_template(self._settings.template), request, number, self._settings.job_retention)
        try:
            job = self._client.create_job(manifest)
        except ConflictError:
            return Decision(request.model, Answer.RUNNING, "another request has just started a run")
        return Decision(request.model, Answer.STARTED, f"the run {job.name} has been started", job.name)

    def _find_refusal(self, jobs: Sequence[Job], request: TrainingRequest, is_forced: bool) -> Decision | None:
        active = [job.name for job in jobs if job.is_active]
        if active:
            return Decision(request.model, Answer.RUNNING, f"the run {active[0]} has not ended")
        if is_forced or not jobs:
            return None
        same = [job.name for job in jobs if request.event and job.annotations.get(EVENT) == request.event]
        if same:
            return Decision(request.model, Answer.DUPLICATE, f"the run {same[0]} was started by this event")
        last = max(jobs, key=lambda job: job.created)
        end = last.created + self._settings.cool_down
        if self._clock() < end:
            reason = f"the run {last.name} was started at {last.created:%Y-%m-%d %H:%M} UTC; no run starts before "
            return Decision(request.model, Answer.COOLING_DOWN, f"{reason}{end:%Y-%m-%d %H:%M} UTC")
        return None
