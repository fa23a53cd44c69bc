"""Runs Helm against the rehearsal's API server, and observes the objects that it waits for.

When a wait times out, Helm itself reports only `context deadline exceeded`. Objects that are not ready have to be
collected while Helm waits: afterwards an atomic release is deleted or rolled back.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rehearsal.helm import cli
from rehearsal.helm.releases import revisions as release_revisions
from rehearsal.kubernetes.client import ApiError, ApiUnreachableError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.readiness import workloads
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.polling import WaitTimeoutError, wait_until

# Seconds before the first readiness check, when most releases are done, and at most between two checks. The interval
# doubles each time, since a check lists all objects in the cluster.
_FIRST_CHECK, _MAX_INTERVAL = 3.0, 24.0
_POLL_INTERVAL = 0.05  # seconds between two checks whether Helm has exited
_MAX_MESSAGE = 1200  # characters of an error message: Helm may quote whole documents


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    error    why it failed; empty if it succeeded
    unready  objects that were not ready when Helm was last observed waiting
    """

    error: str
    unready: Sequence[Problem]


class HelmRunner:
    """Runs Helm for one cluster; safe to use from several threads."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._running: set[str] = set()
        self._numbers = itertools.count(1)

    def run(self, namespace: str, name: str, arguments: Sequence[str], timeout: float) -> Outcome:
        """Run Helm on a release for at most `timeout` seconds. It ends with the rehearsal, even if that is killed.

        Raises HelmUnavailableError if there is no Helm, and ApiUnreachableError if the control plane has ended.
        """
        process = f"helm-{next(self._numbers)}"
        # Unlike the servers' logs, this one is deleted after it was read, since Helm may quote secret values.
        log = self._plane.folder / "logs" / f"{process}.log"
        target = ["--namespace", namespace, "--kubeconfig", str(self._plane.kubeconfig)]
        command = cli.build_command([*arguments, *target])
        self._running.add(process)
        try:
            self._plane.supervisor.start(process, command, log, graceful=True)
            unready, stop_reason = self._watch(process, namespace, name, time.monotonic() + timeout)
            output = log.read_text(errors="replace") if log.exists() else ""
        except BrokenPipeError:
            raise ApiUnreachableError("the control plane has ended, so Helm cannot be started") from None
        finally:
            self._running.discard(process)
            log.unlink(missing_ok=True)
        code = self._plane.supervisor.exit_code(process)
        return Outcome("" if code == 0 else stop_reason + _describe_failure(output, code), unready)

    def cancel(self) -> None:
        """End every run: by SIGTERM, which Helm handles as it does Ctrl-C, and by SIGKILL if it has not exited within
        the supervisor's five seconds; the release then stays locked."""
        for process in list(self._running):
            self._plane.supervisor.stop(process)

    def _watch(self, process: str, namespace: str, name: str, end: float) -> tuple[Sequence[Problem], str]:
        """The objects last observed not ready, and why Helm had to be stopped; empty if it ended by itself."""
        unready: Sequence[Problem] = ()
        interval = _FIRST_CHECK
        next_check = time.monotonic() + interval

        def has_ended() -> bool:
            nonlocal unready, next_check, interval
            ended = self._plane.supervisor.exit_code(process) is not None
            if self._plane.problems():
                raise ApiUnreachableError("the control plane went down while Helm was running")
            if not ended and time.monotonic() > next_check:
                current = self._find_unready(namespace, name)
                unready = unready if current is None else current
                interval = min(2 * interval, _MAX_INTERVAL)
                next_check = time.monotonic() + interval
            return ended

        try:
            wait_until(has_ended, timeout=end - time.monotonic(), interval=_POLL_INTERVAL)
        except WaitTimeoutError:
            return unready, "Helm did not finish in time. "
        finally:
            self._plane.supervisor.stop(process)  # no effect on a process that has exited
        return unready, ""

    def _find_unready(self, namespace: str, name: str) -> Sequence[Problem] | None:
        """The objects of a release that are not ready; None if Helm is no longer waiting for them."""
        api = self._plane.api
        try:
            problems = workloads.find_problems(api, release=name)
            revision = release_revisions.find_latest(api, namespace, name)
            if revision is None or not revision.is_pending or revision.status == "pending-rollback":
                return None
            hooks = {f"{hook['kind']} {namespace}/{hook['name']}" for hook in revision.hooks}
            problems += (
                [problem for problem in workloads.find_problems(api, namespace) if problem.workload in hooks]
                if hooks
                else []
            )
        except (ApiError, ApiUnreachableError):
            return None
        return list(dict.fromkeys(problems))


def _describe_failure(output: str, code: int | None) -> str:
    error = cli.error_message(output, _MAX_MESSAGE)
    if error:
        return error
    return f"Helm was killed by signal {-code}" if code and code < 0 else f"Helm failed with exit code {code}"
