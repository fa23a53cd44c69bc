"""Dispatches each challenger to a workflow of a forge, for teams that promote there; then the worker promotes nothing.

The workflow finally runs the worker's own command, `python -m lifecycle.promotion promote`, in this process's pod. The
event names a version and nothing else: the command queries the registry and evaluates the gate.

https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import httpx

from lifecycle.core import LifecycleError
from lifecycle.promotion import metrics
from lifecycle.promotion.deferral import Deferral
from lifecycle.promotion.inbox import Event, Inbox, InboxError
from lifecycle.promotion.settings import DispatchSettings, WorkerSettings

EVENT_TYPE = "model-promotion"
COMMAND_PREFIX = "manual-"
"""IDs of the events that a command of this package has added, and processes itself."""

_BATCH = 64  # events that are read at a time

_log = logging.getLogger(__name__)


class DispatchError(LifecycleError):
    """The forge did not accept an event; trying again may help."""


class Dispatcher:
    """Sends the events in the inbox, one after the other; several processes are safe, but may send an event twice."""

    def __init__(
        self, settings: DispatchSettings, worker: WorkerSettings, inbox: Inbox, deferral: Deferral, stack: str
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._inbox = inbox
        self._deferral = deferral
        self._stack = stack
        token = settings.token.get_secret_value() if settings.token else ""
        self._client = httpx.Client(
            base_url=f"{settings.url.rstrip('/')}/repos/{settings.project}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
            timeout=settings.timeout,
        )

    def run(self, stop: threading.Event, *, until_idle: bool = False, beat: Callable[[], None] = lambda: None) -> None:
        """Send until `stop` is set, or until nothing is due. `beat` is called in each iteration."""
        while not stop.is_set():
            beat()
            try:
                due = [event for event in self._inbox.due(_BATCH) if not event.id.startswith(COMMAND_PREFIX)]
                for event in due:
                    self._process(event)
            except InboxError as error:
                if until_idle:
                    raise
                _log.warning("No events are dispatched until the inbox answers: %s", error)
                stop.wait(self._worker.retry_delay)
                continue
            if not due and (until_idle or stop.wait(self._worker.poll_interval)):
                return

    def _process(self, event: Event) -> None:
        try:
            self._send(event)
        except DispatchError as error:
            self._deferral.defer(event, error)
            return
        self._inbox.finish(event, "dispatched", f"to {self._settings.project}")
        metrics.EVENTS.labels("dispatched").inc()
        metrics.DURATION.observe(time.time() - event.received)
        _log.info("%s version %s was dispatched to %s", event.model, event.version, self._settings.project)

    def _send(self, event: Event) -> None:
        """Raises DispatchError."""
        payload = {"model": event.model, "version": event.version, "stack": self._stack, "event": event.id}
        try:
            response = self._client.post("/dispatches", json={"event_type": EVENT_TYPE, "client_payload": payload})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The messages of some errors quote the request.
            raise DispatchError(f"{self._settings.url} does not answer: {type(error).__name__}") from None
        if not response.is_success:
            raise DispatchError(
                f"{self._settings.url} rejected the event for {self._settings.project} (status "
                f"{response.status_code}); check that the repository exists, and that the token may write its contents"
            )
