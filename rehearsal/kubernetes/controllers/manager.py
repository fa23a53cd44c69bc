"""Runs controllers of the cluster as real processes beside the control plane.

The pods of a workload are simulated: they use resources of a node and do nothing. If a pod would run one of the known
controllers, and the program is available, the program runs as long as the workload has a ready pod: with the arguments
of its container, the permissions of its service account, and webhooks that the API server can reach. Otherwise the
controller is only simulated, and nothing does its work. Gateways, Certificates and ExternalSecrets always have
simulated controllers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rehearsal import toolchain
from rehearsal.console import UserError, info
from rehearsal.kubernetes.client import ApiError, ApiUnreachableError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers import argocd, certificates, external_secrets, gateway
from rehearsal.kubernetes.controllers.controller_process import ControllerProcess
from rehearsal.kubernetes.controllers.git_server import GitServer
from rehearsal.kubernetes.controllers.kserve import KSERVE
from rehearsal.kubernetes.controllers.prometheus_operator import PROMETHEUS_OPERATOR
from rehearsal.toolchain import Tool

CONTROLLERS = (KSERVE, PROMETHEUS_OPERATOR, *argocd.CONTROLLERS)

_WORKLOAD_KINDS = sorted({controller.workload_kind for controller in CONTROLLERS})
# Seconds between two polls of the cluster. Each lists a dozen kinds: four times as many polls used two fifths of the
# CPU time of a rehearsal's own process (measured), and nothing waits long for the controllers.
_POLL_INTERVAL = 2.0


def programs_of(charts: Collection[str]) -> list[Tool]:
    """The programs of the controllers that these charts install."""
    return list(dict.fromkeys(controller.tool for controller in CONTROLLERS if controller.chart in charts))


def ensure_programs(charts: Collection[str]) -> Mapping[str, Path]:
    """The programs of the controllers that these charts install, keyed by command; built if they do not exist yet.
    Call it before a rehearsal, since a build takes minutes. A program that is not available is left out, and a message
    explains why.
    """
    programs = {}
    for tool in programs_of(charts):
        try:
            programs[tool.command] = toolchain.ensure(tool)
        except UserError as error:
            info(f"Simulated only: {tool.title}. {error}")
    return programs


class ControllerManager:
    """Runs the real controllers of one control plane, and the simulated ones that work without a program.

    git_server  serves repositories on this machine in place of remote ones
    """

    def __init__(
        self,
        plane: ControlPlane,
        egress: EgressProxy,
        programs: Mapping[str, Path],
        list_secrets: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`list_secrets` returns the names of the secrets in the cloud's store."""
        self.git_server = GitServer(plane.certificate_authority)
        self._api = plane.api
        self._authority = plane.certificate_authority
        self._list_secrets = list_secrets
        self._simulated: Sequence[str] = ()  # notes on the simulated controllers that have something to do
        self._stopped = threading.Event()
        self._processes = [
            ControllerProcess(
                controller,
                programs.get(controller.tool.command),
                plane,
                egress,
                self.git_server,
                self._resolve_address,
            )
            for controller in CONTROLLERS
        ]

    @contextmanager
    def run(self) -> Iterator[None]:
        """Start and stop processes as the cluster changes, while the context lasts; on exit none is running."""
        thread = threading.Thread(target=self._reconcile_continuously, daemon=True)
        with self.git_server.run():
            thread.start()
            try:
                yield
            finally:
                self._stopped.set()
                thread.join()
                for process in self._processes:
                    process.close()

    def locate(self, name: str, namespace: str) -> int:
        """The port on this machine on which the named controller serves; open before the controller runs."""
        return int(self._resolve_address(name, namespace).rpartition(":")[2])

    def served_kinds(self) -> Collection[str]:
        """The custom kinds that a running process reconciles."""
        return [kind for process in self._processes if process.is_running for kind in process.controller.kinds]

    def notes(self) -> Sequence[str]:
        """Which installed controllers are only simulated and why, and which running programs are substitutes."""
        notes = [
            f"{process.controller.tool.title}: {process.simulated_because}"
            for process in self._processes
            if process.simulated_because
        ]
        notes += [process.controller.substitute_note for process in self._processes if process.is_running]
        notes += self._simulated
        return list(dict.fromkeys(filter(None, notes)))

    def problems(self) -> Sequence[str]:
        """The processes that exited unexpectedly. Each is restarted, as a kubelet would do."""
        return [process.problem for process in self._processes if process.problem]

    def _run_simulated(self) -> None:
        has_issuers = certificates.issue_certificates(self._api, self._authority)
        has_stores = external_secrets.sync_secrets(self._api, self._list_secrets())
        gateway.update_status(self._api)
        self._simulated = [
            note for has, note in ((has_issuers, certificates.NOTE), (has_stores, external_secrets.NOTE)) if has
        ]

    def _resolve_address(self, name: str, namespace: str) -> str:
        process = next(process for process in self._processes if process.controller.name == name)
        host, port = process.open_proxy(namespace).address
        return f"{host}:{port}"

    def _reconcile_continuously(self) -> None:
        while not self._stopped.wait(_POLL_INTERVAL):
            with contextlib.suppress(ApiError, ApiUnreachableError):
                workloads = [found for kind in _WORKLOAD_KINDS for found in self._api.list("apps/v1", kind)]
                for process in self._processes:
                    process.reconcile(workloads)
                self._run_simulated()
