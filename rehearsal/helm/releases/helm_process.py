"""One run of Helm against the rehearsal's API server, watched for as long as it takes.

Helm's own account of a wait that failed is `context deadline exceeded`. What it waited for is seen while it waits:
afterwards an atomic release is gone, or rolled back.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rehearsal.helm import cli
from rehearsal.helm.releases import revisions as release_records
from rehearsal.kubernetes.client import ApiError, ApiUnreachableError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.readiness import workloads
from rehearsal.kubernetes.readiness.problem import Problem

_LOOKS = 1.0  # seconds between two looks at what is not ready, and before the first: most releases are there by then
_PACE = 0.05  # seconds between two questions whether Helm has ended
_LONGEST = 1200  # characters of what Helm says: it may quote whole documents


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    complaint  why it failed, empty when it did what was asked
    unready    what was not ready when Helm was last seen waiting for it
    """

    complaint: str
    unready: Sequence[Problem]


class Helm:
    """Runs Helm for one cluster; may be used from several threads."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._running: set[str] = set()
        self._numbers = itertools.count(1)

    def run(self, namespace: str, name: str, arguments: Sequence[str], patience: float) -> Outcome:
        """Run Helm on a release, for so many seconds at most; it ends with the rehearsal, however that ends.

        Raises helm.Unavailable where there is no Helm, and ApiUnreachableError when the control plane is gone.
        """
        process = f"helm-{next(self._numbers)}"
        # Not the log that the guard keeps of a server: it goes when it is read, for Helm may quote what is secret.
        log = self._plane.folder / "logs" / f"{process}.log"
        place = ["--namespace", namespace, "--kubeconfig", str(self._plane.kubeconfig)]
        command = cli.command([*arguments, *place])
        self._running.add(process)
        try:
            self._plane.supervisor.start(process, command, log, graceful=True)
            unready, stopped = self._watch(process, namespace, name, time.monotonic() + patience)
            said = log.read_text(errors="replace") if log.exists() else ""
        except BrokenPipeError:
            raise ApiUnreachableError("the control plane is gone: nobody is there to start Helm") from None
        finally:
            self._running.discard(process)
            log.unlink(missing_ok=True)
        code = self._plane.supervisor.exit_code(process)
        return Outcome("" if code == 0 else stopped + _complaint(said, code), unready)

    def cancel(self) -> None:
        """End every run: by SIGTERM, which Helm takes as it takes a Ctrl-C, and by SIGKILL where that does not do
        within the guard's five seconds; the release then stays locked."""
        for process in list(self._running):
            self._plane.supervisor.stop(process)

    def _watch(self, process: str, namespace: str, name: str, end: float) -> tuple[Sequence[Problem], str]:
        """What was last seen to be not ready, and why Helm had to be stopped if it had to."""
        unready: Sequence[Problem] = ()
        look = time.monotonic() + _LOOKS
        try:
            while True:
                ended = self._plane.supervisor.exit_code(process) is not None
                if self._plane.problems():
                    raise ApiUnreachableError("the control plane went down while Helm was at work")
                if ended:
                    return unready, ""
                if time.monotonic() > end:
                    return unready, "Helm found no end. "
                if time.monotonic() > look:
                    seen = self._look(namespace, name)
                    unready = unready if seen is None else seen
                    look = time.monotonic() + _LOOKS
                time.sleep(_PACE)
        finally:
            self._plane.supervisor.stop(process)  # which ends nothing that has ended

    def _look(self, namespace: str, name: str) -> Sequence[Problem] | None:
        """What of a release is not ready; None when that is no longer what Helm waits for."""
        api = self._plane.api
        try:
            faults = workloads.find_problems(api, release=name)
            there = release_records.latest(api, namespace, name)
            if there is None or not there.is_pending or there.status == "pending-rollback":
                return None
            hooks = {f"{hook['kind']} {namespace}/{hook['name']}" for hook in there.hooks}
            faults += (
                [fault for fault in workloads.find_problems(api, namespace) if fault.workload in hooks] if hooks else []
            )
        except (ApiError, ApiUnreachableError):
            return None
        return list(dict.fromkeys(faults))


def _complaint(said: str, code: int | None) -> str:
    complaint = cli.complaint(said, _LONGEST)
    if complaint:
        return complaint
    return f"Helm was ended in the middle of it (signal {-code})" if code and code < 0 else f"Helm failed (code {code})"
