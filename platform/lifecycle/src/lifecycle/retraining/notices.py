"""The notice of each run's end: its result for the model, and why.

An annotation of the Job says that its notice is being sent, and then that it was sent. Only one of two processes can
set it, since the API server rejects a change if the Job has changed since it was read. If a process ends in between,
its claim expires, and another one sends the notice; only in this case it may arrive twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lifecycle.core import LifecycleError, ModelVersion, Notification, Notifier
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.retraining import metrics
from lifecycle.retraining.jobs import NOTICE, OUTCOME, REASON, Job
from lifecycle.retraining.kubernetes_client import ConflictError, KubernetesClient
from lifecycle.retraining.results import read_result
from lifecycle.retraining.settings import RetrainingSettings

_CLAIMED, _SENT = "claimed", "sent"
_CLAIM = timedelta(minutes=5)  # longer than the timeouts for sending a notice

_log = logging.getLogger(__name__)


class NoticeSender:
    """Periodically looks for Jobs that have ended, and sends their notices."""

    def __init__(
        self,
        settings: RetrainingSettings,
        client: KubernetesClient,
        notifier: Notifier,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._client = client
        self._notifier = notifier
        self._clock = clock

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        while not stop.is_set():
            beat()
            try:
                self.run_turn()
            except LifecycleError as error:
                metrics.FAILURES.inc()
                _log.error("The runs could not be read; this is retried: %s", error)
            stop.wait(self._settings.poll_interval)

    def run_turn(self) -> None:
        """Send the notices that are due. Raises UnavailableError."""
        jobs = self._client.list_jobs()
        metrics.RUNNING.set(sum(job.is_active for job in jobs))
        for job in jobs:
            if not job.is_active and self._is_due(job):
                self._send(job)

    def _is_due(self, job: Job) -> bool:
        state, _, time = job.annotations.get(NOTICE, "").partition(" ")
        if state == _SENT:
            return False
        try:
            return state != _CLAIMED or self._clock() >= datetime.fromisoformat(time) + _CLAIM
        except (ValueError, TypeError):  # somebody else wrote it
            return True

    def _send(self, job: Job) -> None:
        result = read_result(job, self._client.list_pods(job))
        try:
            claimed = self._annotate(job, _CLAIMED, result)
        except ConflictError:
            return  # another process sends it, or somebody has changed the Job: the next iteration decides
        self._notifier.send(self._describe(job, result))
        metrics.FINISHED.labels(str(result.outcome)).inc()
        try:
            self._annotate(claimed, _SENT, result)
        except ConflictError:
            _log.warning("The Job %s was changed while its notice was sent; the notice may be sent again", job.name)

    def _annotate(self, job: Job, state: str, result: TrainingReport) -> Job:
        notice = f"{state} {self._clock().isoformat(timespec='seconds')}"
        return self._client.annotate(job, {NOTICE: notice, OUTCOME: str(result.outcome)})

    def _describe(self, job: Job, result: TrainingReport) -> Notification:
        reason = job.annotations.get(REASON, "")
        details = [f"retraining was started by {job.trigger}{f': {reason}' if reason else ''}", *result.reasons]
        if result.outcome is TrainingOutcome.RETRAINED and result.version:
            details.append("the gate passed; the version is now the challenger, and its promotion follows")
        else:
            details.append(f"Job {job.name} in the namespace {self._settings.namespace}")
        if result.run_id and self._settings.run_url:
            details.append(self._settings.run_url.replace("{run}", result.run_id))
        return Notification(ModelVersion(job.model, result.version), self._settings.stack, result.outcome, details)
