"""Waiting for objects: until they are ready, until they are gone, never longer than a rehearsal's patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.provider.await_diagnostics import why_not_ready, why_still_there
from rehearsal.kubernetes.provider.await_rules import rule
from rehearsal.kubernetes.provider.projection import annotation, describe
from rehearsal.simulator.core.errors import CloudError

PATIENCE = 45.0  # seconds any wait takes at most, whatever the program allows: simulated pods start at once

_PACE = 0.1, 1.0  # seconds between two looks, at first and in the end

_ASK_AGAIN = 6.0  # seconds; the controller begins five after it was asked
_ASKED = "rehearsal.groundwork/asked-again"

# Kinds of which `skipAwait` also means: do not wait until they are gone.
# Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/metadata/overrides.go
_GO_UNWATCHED = frozenset(
    {"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"}
)


class ReadinessWaiter:
    """One object waited for: `live` is how it was last seen.

    `timeout` is what the program allows, in seconds: customTimeouts; without it, pulumi.com/timeoutSeconds counts.
    When `stop` is set, waiting ends with a CloudError.
    """

    def __init__(self, api: ApiClient, stop: threading.Event, live: Object, timeout: float | None) -> None:
        self._api = api
        self._stop = stop
        self.live = live
        self._allowed = timeout or _seconds(annotation(live, "timeoutSeconds")) or PATIENCE
        self._limit = min(self._allowed, PATIENCE)
        self._asked = time.monotonic()

    def wait_until_ready(self) -> Object:
        """The object once it is ready by the rule of its kind. Raises CloudError when it fails, or is not in time."""
        judge = rule(self.live)
        if judge is None or annotation(self.live, "skipAwait") == "true":
            return self.live
        missing = self._until(lambda: judge(self._api, self._look()))
        if missing is None:
            return self.live
        reasons = why_not_ready(self._api, self.live)
        raise CloudError(
            f"{describe(self.live)} was not ready after {self._limit:g} s: {missing}"
            + (f". {reasons}" if reasons else "")
            + self._stated()
        )

    def wait_until_deleted(self) -> None:
        """Come back when the object is gone. Raises CloudError, with what holds it, when it is not in time."""
        if annotation(self.live, "skipAwait") == "true" and self.live["kind"] in _GO_UNWATCHED:
            return
        look = self._namespace_still_there if self.live["kind"] == "Namespace" else self._still_there
        if self._until(look) is not None:
            raise CloudError(
                f"{describe(self.live)} was not gone after {self._limit:g} s: {why_still_there(self.live)}"
                + self._stated()
            )

    def retry_while_unavailable(self, attempt: Callable[[], Object]) -> Object:
        """What an attempt gives; made again, with longer and longer pauses, while what it needs is not there yet.

        The namespace or the kind may be on its way, from a resource that is made at the same time; a kind that has
        just come is announced before it can be stored (429). Raises ApiError.
        """
        end, pause = time.monotonic() + self._limit, 0.5
        while True:
            try:
                return attempt()
            except ApiError as error:
                if error.status not in (404, 429) or time.monotonic() + pause > end:
                    raise
            self._rest(pause)
            pause *= 2

    def _until(self, missing: Callable[[], str | None]) -> str | None:
        """None when nothing is missing any more, else what still was when patience ended."""
        end, (pace, slowest) = time.monotonic() + self._limit, _PACE
        while (found := missing()) is not None and (left := end - time.monotonic()) > 0:
            self._rest(min(pace, left))
            pace = min(1.5 * pace, slowest)
        return found

    def _rest(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise CloudError(f"the wait for {describe(self.live)} was cancelled")

    def _look(self) -> Object:
        found = self._get()
        if found is None:
            raise CloudError(f"{describe(self.live)} was deleted while it was waited for")
        self.live = found
        return found

    def _still_there(self) -> str | None:
        found = self._get()
        if found is None or found["metadata"]["uid"] != self.live["metadata"]["uid"]:
            return None
        self.live = found
        return "there"

    def _namespace_still_there(self) -> str | None:
        """The same, asking the namespace's controller to look again now and then.

        By itself it comes back after half the grace period of the pods that it saw, five minutes for Prometheus'; but
        simulated pods end at once. Source: pkg/controller/namespace/namespace_controller.go of Kubernetes.
        """
        found = self._still_there()
        if found is not None and time.monotonic() > self._asked + _ASK_AGAIN:
            self._asked = time.monotonic()
            with suppress(ApiError):  # gone, or changed, meanwhile
                self._api.patch(self.live, {"metadata": {"annotations": {_ASKED: f"{self._asked:.0f}"}}})
        return found

    def _get(self) -> Object | None:
        live, metadata = self.live, self.live["metadata"]
        return self._api.get(live["apiVersion"], live["kind"], metadata["name"], metadata.get("namespace", ""))

    def _stated(self) -> str:
        if self._limit < self._allowed or self._allowed == PATIENCE:
            return f" (a rehearsal waits {PATIENCE:g} s at most: its simulated pods start at once)"
        return ""


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
