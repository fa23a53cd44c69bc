"""Keeps the webhook registered in MLflow, and finds the challengers that it missed.

MLflow gives up a delivery after a few retries, and a webhook disappears with the database that is restored without it.
So both are looked at again and again, rather than once.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Sequence
from typing import Final

from lifecycle.core import LifecycleError, ModelRegistry, ModelVersion, Status
from lifecycle.promotion import metrics
from lifecycle.promotion.inbox import WAITING, Inbox
from lifecycle.promotion.settings import WorkerSettings

WEBHOOK_NAME = "groundwork-promotion"
WEBHOOK_EVENT: Final = "model_version_alias.created"

_NOT_EVALUATED = ("", Status.REGISTERED)
# Outcomes that leave the status as it was, so that only the inbox tells that the version is not new.
_KNOWN_OUTCOMES = (WAITING, "requested", "unchanged", "failed", "dispatched")
# Of these only people could make more than there is; the others may have come to nothing.
_LASTING_OUTCOMES = ("requested", "unchanged")

_log = logging.getLogger(__name__)


class Reconciliation:
    """The registration of the webhook at the settings' address, and the missed events."""

    def __init__(self, settings: WorkerSettings, registry: ModelRegistry, inbox: Inbox) -> None:
        self._settings = settings
        self._registry = registry
        self._inbox = inbox

    def run(self, stop: threading.Event) -> None:
        """Reconcile until `stop` is set; what fails is repeated with growing delays."""
        delay = self._settings.retry_delay
        while not stop.is_set():
            try:
                self.reconcile()
            except LifecycleError as error:
                metrics.RECONCILIATION_FAILURES.inc()
                _log.warning("Webhook and inbox are reconciled again in %.0f s: %s", delay, error)
                stop.wait(delay)
                delay = min(2 * delay, self._settings.max_retry_delay)
            else:
                delay = self._settings.retry_delay
                stop.wait(self._settings.reconcile_interval)

    def reconcile(self) -> None:
        """Raises RegistryError or InboxError."""
        url, secret = self._settings.webhook_url, self._settings.webhook_secret
        if url and secret:
            self._registry.set_webhook(WEBHOOK_NAME, url, WEBHOOK_EVENT, secret.get_secret_value())
        for missed in add_missed_events(self._registry, self._inbox):
            _log.warning("%s was missed by the webhook and is added", missed)


def add_missed_events(registry: ModelRegistry, inbox: Inbox) -> Sequence[ModelVersion]:
    """Add an event for each challenger that was never examined; returns those versions."""
    missed = _list_challengers(registry, inbox, _KNOWN_OUTCOMES)
    for model_version in missed:
        inbox.add(f"scan-{uuid.uuid4()}", model_version.model, model_version.version)
    return missed


def list_unpromoted(registry: ModelRegistry, inbox: Inbox) -> Sequence[ModelVersion]:
    """The challengers that nothing has come of: not seen, given to a workflow that failed, or failed themselves."""
    return _list_challengers(registry, inbox, _LASTING_OUTCOMES)


def _list_challengers(registry: ModelRegistry, inbox: Inbox, without: Sequence[str]) -> Sequence[ModelVersion]:
    """The challengers that were not evaluated, without those that have an event of such an outcome."""
    return [
        registered.model_version
        for registered in registry.list_challengers()
        if registered.status in _NOT_EVALUATED
        and not inbox.has_event(registered.model_version.model, registered.model_version.version, without)
    ]
