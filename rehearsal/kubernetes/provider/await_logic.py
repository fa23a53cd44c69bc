"""Waiting until objects are ready or deleted, and until their prerequisites exist."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.provider.await_diagnostics import explain_not_deleted, explain_not_ready
from rehearsal.kubernetes.provider.await_rules import find_ready_rule
from rehearsal.kubernetes.provider.projection import describe, get_pulumi_annotation
from rehearsal.kubernetes.readiness.remedies import find_remedy
from rehearsal.polling import WaitCancelledError, WaitTimeoutError, wait_until
from rehearsal.simulator.core.errors import CloudError

# Seconds, even if the program allows more: simulated pods start at once. Real controllers take longer on a busy
# machine, for example Argo CD when it deletes an Application right after it has started.
MAX_WAIT = 120.0

_INTERVAL, _MAX_INTERVAL = 0.1, 1.0  # seconds between two checks of an object
_RETRY_INTERVAL, _MAX_RETRY_INTERVAL = 0.5, 5.0  # seconds between two attempts to create one
_NOT_YET = (404, 429)  # no such namespace or kind; the storage of a new kind is still being initialized

_TOUCH_INTERVAL = 6.0  # seconds; the namespace controller acts five seconds after a change
_TOUCHED = "rehearsal.groundwork/touched"

# Kinds for which `skipAwait` also means not to wait until they are deleted.
# Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/metadata/overrides.go
_SKIPPABLE_DELETES = frozenset(
    {"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"}
)


_T = TypeVar("_T")


class ReadinessWaiter:
    """Waits for one object; `live` is its latest version.

    `timeout` is the program's customTimeouts in seconds; the default is the annotation pulumi.com/timeoutSeconds. It is
    limited to MAX_WAIT. Every wait raises CloudError when it is cancelled by `cancel`.
    """

    def __init__(self, api: ApiClient, cancel: threading.Event, live: Object, timeout: float | None) -> None:
        self._api = api
        self._cancel = cancel
        self.live = live
        self._requested = timeout or _parse_seconds(get_pulumi_annotation(live, "timeoutSeconds")) or MAX_WAIT
        self._timeout = min(self._requested, MAX_WAIT)
        self._touched = time.monotonic()

    def wait_until_ready(self) -> Object:
        """Wait until the object is ready by the rule of its kind. Raises CloudError if it fails, or times out."""
        find_missing = find_ready_rule(self.live)
        if find_missing is None or get_pulumi_annotation(self.live, "skipAwait") == "true":
            return self.live
        missing = self._wait_until_none(lambda: find_missing(self._api, self._refresh()))
        if missing is None:
            return self.live
        reasons, remedy = explain_not_ready(self._api, self.live), find_remedy(missing)
        raise CloudError(
            f"{describe(self.live)} was not ready after {self._timeout:g} s: {missing}"
            + (f". {reasons}" if reasons else "")
            + self._explain_timeout()
            + (f". Remedy: {remedy}" if remedy else "")
        )

    def wait_until_deleted(self) -> None:
        """Wait until the object no longer exists. Raises CloudError with what blocks the deletion if that times out."""
        if get_pulumi_annotation(self.live, "skipAwait") == "true" and self.live["kind"] in _SKIPPABLE_DELETES:
            return
        find_remaining = self._find_remaining_namespace if self.live["kind"] == "Namespace" else self._find_remaining
        if self._wait_until_none(find_remaining) is not None:
            raise CloudError(
                f"{describe(self.live)} was not deleted after {self._timeout:g} s: {explain_not_deleted(self.live)}"
                + self._explain_timeout()
            )

    def retry_while_unavailable(self, attempt: Callable[[], Object]) -> Object:
        """Repeat `attempt` while the object's namespace or kind does not exist yet; returns its result.

        Another resource may create them at the same time. Raises ApiError.
        """
        failure: ApiError | None = None

        def check() -> Object | None:
            nonlocal failure
            try:
                return attempt()
            except ApiError as error:
                if error.status not in _NOT_YET:
                    raise
                failure = error
                return None

        try:
            result = self._wait(check, _RETRY_INTERVAL, _MAX_RETRY_INTERVAL)
        except WaitTimeoutError as timeout:
            raise (failure or timeout) from None
        assert result is not None  # noqa: S101 wait_until returns true values only
        return result

    def _wait_until_none(self, find: Callable[[], str | None]) -> str | None:
        """Wait until `find` returns None; returns its last result, which is not None if the wait timed out."""
        found: str | None = None

        def check() -> bool:
            nonlocal found
            found = find()
            return found is None

        with suppress(WaitTimeoutError):
            self._wait(check, _INTERVAL, _MAX_INTERVAL)
        return found

    def _wait(self, check: Callable[[], _T], interval: float, max_interval: float) -> _T:
        try:
            return wait_until(
                check, timeout=self._timeout, interval=interval, max_interval=max_interval, cancel=self._cancel
            )
        except WaitCancelledError:
            raise CloudError(f"the wait for {describe(self.live)} was cancelled") from None

    def _refresh(self) -> Object:
        live = self._get()
        if live is None:
            raise CloudError(f"{describe(self.live)} was deleted before it was ready")
        self.live = live
        return live

    def _find_remaining(self) -> str | None:
        live = self._get()
        if live is None or live["metadata"]["uid"] != self.live["metadata"]["uid"]:
            return None
        self.live = live
        return "it still exists"

    def _find_remaining_namespace(self) -> str | None:
        """The same for a namespace, which is changed from time to time so that its controller processes it again.

        Otherwise the controller retries after half the grace period of the pods that it saw, which is five minutes for
        Prometheus, although simulated pods end at once.
        Source: pkg/controller/namespace/namespace_controller.go of Kubernetes.
        """
        remaining = self._find_remaining()
        if remaining is not None and time.monotonic() > self._touched + _TOUCH_INTERVAL:
            self._touched = time.monotonic()
            with suppress(ApiError):  # it was deleted or changed in between
                self._api.patch(self.live, {"metadata": {"annotations": {_TOUCHED: f"{self._touched:.0f}"}}})
        return remaining

    def _get(self) -> Object | None:
        live, metadata = self.live, self.live["metadata"]
        return self._api.get(live["apiVersion"], live["kind"], metadata["name"], metadata.get("namespace", ""))

    def _explain_timeout(self) -> str:
        if self._timeout < self._requested or self._requested == MAX_WAIT:
            return f" (a rehearsal waits {MAX_WAIT:g} s at most: its simulated pods start at once)"
        return ""


def _parse_seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
