"""What happens to an event that could not be processed: it is retried with growing delays, and finally fails."""

from __future__ import annotations

import logging

from lifecycle.core import LifecycleError, ModelVersion, Notification, Notifier
from lifecycle.core.backoff import choose_delay
from lifecycle.core.logs import log_context
from lifecycle.promotion import metrics
from lifecycle.promotion.inbox import Event, Inbox
from lifecycle.promotion.settings import WorkerSettings

_log = logging.getLogger(__name__)


class Deferral:
    """Defers events with growing delays, and sends a notification when one is stuck and when it has failed."""

    def __init__(self, settings: WorkerSettings, inbox: Inbox, notifier: Notifier, stack: str) -> None:
        self._settings = settings
        self._inbox = inbox
        self._notifier = notifier
        self._stack = stack

    def defer(self, event: Event, error: Exception) -> None:
        """Retry the event after a delay, or mark it as failed after as many attempts as the settings allow."""
        reason = describe(error)
        attempts = event.attempts + 1
        if attempts >= self._settings.max_attempts:
            self._notify(event, "failed", attempts, reason)
            self._inbox.finish(event, "failed", reason)
            metrics.EVENTS.labels("failed").inc()
            return
        metrics.RETRIES.inc()
        delay = choose_delay(self._settings.retry_delay, event.attempts, self._settings.max_retry_delay)
        with log_context(**describe_event(event)):
            _log.warning("%s version %s will be retried in %.1f s: %s", event.model, event.version, delay, reason)
        if attempts == self._settings.stuck_after:
            self._notify(event, "stuck", attempts, reason)
        self._inbox.defer(event, delay, reason)

    def _notify(self, event: Event, outcome: str, attempts: int, reason: str) -> None:
        details = [f"{attempts} attempts failed, the last one with: {reason}"]
        if outcome == "failed":
            details.append(f"`python -m lifecycle.promotion promote {event.model} {event.version}` tries again")
        self._notifier.send(Notification(ModelVersion(event.model, event.version), self._stack, outcome, details))


def describe_event(event: Event) -> dict[str, str]:
    """The fields of an event in lines of the log and in spans."""
    return {"event": event.id, "model": event.model, "version": event.version}


def describe(error: Exception) -> str:
    """The message of this package's errors; for others also the type, since their message may not say enough."""
    return str(error) if isinstance(error, LifecycleError) else f"{type(error).__name__}: {error}"
