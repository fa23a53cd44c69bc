"""Keeps the webhook registered in MLflow, and finds the challengers that it missed.

MLflow gives up on a delivery after a few retries, and a webhook is lost if MLflow's database is restored from a backup
without it. So both are checked periodically, not just once.
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
# Outcomes that leave the status unchanged, so only the inbox shows that the version is not new.
_KNOWN_OUTCOMES = (WAITING, "requested", "unchanged", "failed", "dispatched")
# Outcomes after which only people can do more; after the others the version may not have been promoted.
_LASTING_OUTCOMES = ("requested", "unchanged")

_log = logging.getLogger(__name__)


class Reconciliation:
    """Registers the webhook with the address in the settings, and adds missed events."""

    def __init__(self, settings: WorkerSettings, registry: ModelRegistry, inbox: Inbox) -> None:
        self._settings = settings
        self._registry = registry
        self._inbox = inbox

    def run(self, stop: threading.Event) -> None:
        """Reconcile until `stop` is set; failed attempts are repeated with growing delays."""
        delay = self._settings.retry_delay
        while not stop.is_set():
            try:
                self.reconcile()
            except LifecycleError as error:
                metrics.RECONCILIATION_FAILURES.inc()
                _log.warning("Webhook and inbox could not be reconciled; next attempt in %.0f s: %s", delay, error)
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
            _log.warning("%s was missed by the webhook and has been added", missed)


def add_missed_events(registry: ModelRegistry, inbox: Inbox) -> Sequence[ModelVersion]:
    """Add an event for each challenger that was never examined; returns those versions."""
    missed = _list_challengers(registry, inbox, _KNOWN_OUTCOMES)
    for model_version in missed:
        inbox.add(f"scan-{uuid.uuid4()}", model_version.model, model_version.version)
    return missed


def list_unpromoted(registry: ModelRegistry, inbox: Inbox) -> Sequence[ModelVersion]:
    """The challengers not promoted yet: not seen, dispatched to a workflow that failed, or failed themselves."""
    return _list_challengers(registry, inbox, _LASTING_OUTCOMES)


def _list_challengers(registry: ModelRegistry, inbox: Inbox, without: Sequence[str]) -> Sequence[ModelVersion]:
    """The challengers that were not evaluated, except those that have an event with one of these outcomes."""
    return [
        registered.model_version
        for registered in registry.list_challengers()
        if registered.status in _NOT_EVALUATED
        and not inbox.has_event(registered.model_version.model, registered.model_version.version, without)
    ]
