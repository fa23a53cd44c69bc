"""Controllers that run for real beside the control plane.

A workload's pods are simulated: they hold a place on a node, and do nothing. Where a pod would run one of the
controllers known here, and its program is on this machine, the program runs beside the control plane for as long as
the workload has a ready pod: with its container's arguments, under its ServiceAccount's rights, its webhooks within
the API server's reach. Otherwise that controller is simulated, which means that nothing does its work.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from rehearsal import toolchain
from rehearsal.console import UserError, info
from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, free_ports
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers import argocd, gateway
from rehearsal.kubernetes.controllers.controller import Controller, LaunchContext
from rehearsal.kubernetes.controllers.git_server import GitServer
from rehearsal.kubernetes.controllers.kserve import KSERVE
from rehearsal.kubernetes.controllers.lazy_proxy import LazyProxy
from rehearsal.kubernetes.controllers.prometheus_operator import PROMETHEUS

CONTROLLERS = (KSERVE, PROMETHEUS, *argocd.CONTROLLERS)

_PERIOD = 0.5  # seconds between two looks at the cluster
_LONGEST_PAUSE = 60.0  # seconds between two starts of a process that keeps ending


def programs(charts: Collection[str]) -> Mapping[str, Path]:
    """The programs of the controllers that these charts install, by command; built where there are none yet.

    To be called before a rehearsal, for a build takes minutes. One that cannot be had is left out, and the reason said.
    """
    found = {}
    for tool in dict.fromkeys(controller.tool for controller in CONTROLLERS if controller.chart in charts):
        try:
            found[tool.command] = toolchain.ensure(tool)
        except UserError as error:
            info(f"Simulated only: {tool.title}. {error}")
    return found


class ControllerManager:
    """Looks after the real controllers of one control plane, and after a simulated one for gateways.

    repositories  where they find git repositories of this machine that stand for remote ones
    """

    def __init__(self, plane: ControlPlane, egress: EgressProxy, programs: Mapping[str, Path]) -> None:
        self.git_server = GitServer(plane.certificate_authority)
        self._plane = plane
        self._ended = threading.Event()
        self._processes = [
            ControllerProcess(each, programs.get(each.tool.command), plane, egress, self) for each in CONTROLLERS
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look after them for as long as the context lasts; on return none runs any more."""
        watch = threading.Thread(target=self._watch, daemon=True)
        with self.git_server.running():
            watch.start()
            try:
                yield
            finally:
                self._ended.set()
                watch.join()
                for process in self._processes:
                    process.close()

    def reach(self, name: str, namespace: str) -> str:
        """Where the controllers of a namespace reach each other: `127.0.0.1:12345`."""
        host, port = (
            next(process for process in self._processes if process.controller.name == name).proxy(namespace).address
        )
        return f"{host}:{port}"

    def served(self) -> Collection[str]:
        """The kinds that a real process serves now."""
        return [kind for process in self._processes if process.up for kind in process.controller.kinds]

    def simulated(self) -> Sequence[str]:
        """Which of the controllers known here the cluster has, but only simulated, and why; and what stands in."""
        told = [
            f"{process.controller.tool.title}: {process.obstacle}" for process in self._processes if process.obstacle
        ]
        told += [
            process.controller.stand_in for process in self._processes if process.up and process.controller.stand_in
        ]
        return list(dict.fromkeys(told))

    def problems(self) -> Sequence[str]:
        """The processes that ended while they should run. Each was started again, as a kubelet would."""
        return [process.problem for process in self._processes if process.problem]

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD):
            with contextlib.suppress(ApiError, ApiUnreachableError):
                for process in self._processes:
                    process.look()
                gateway.update_status(self._plane.api)


class ControllerProcess:
    """The place of one controller: empty, simulated, or taken by a real process."""

    def __init__(
        self,
        controller: Controller,
        program: Path | None,
        plane: ControlPlane,
        egress: EgressProxy,
        others: ControllerManager,
    ) -> None:
        self.controller = controller
        self.up = False
        self.obstacle = ""
        self.problem = ""
        self._program = program
        self._plane = plane
        self._egress = egress
        self._others = others
        self._runs: Object = {}  # the workload's pod template that the process was started for
        self._port: int | None = None
        self._proxies: dict[str, LazyProxy] = {}  # by namespace
        self._ends = 0
        self._not_before = 0.0  # on the monotonic clock

    def look(self) -> None:
        """Have the process run if, and only if, its workload says so."""
        workload = self._workload()
        self.obstacle = self._why_not(workload) if workload else ""
        if not workload or self.obstacle:
            self._stop()
            return
        namespace, template = workload["metadata"]["namespace"], workload["spec"]["template"]
        ready = bool(workload["status"].get("readyReplicas"))
        self.proxy(namespace)
        self._handle_exit()
        if not ready or template != self._runs:
            self._stop()
        if ready and not self.up and time.monotonic() >= self._not_before:
            self._start(namespace, template)

    def close(self) -> None:
        self._stop()
        for proxy in self._proxies.values():
            proxy.close()

    def proxy(self, namespace: str) -> LazyProxy:
        """Where the process is reached when it runs in this namespace."""
        if namespace not in self._proxies:
            proxy = self._proxies[namespace] = LazyProxy(lambda: self._port)
            self._egress.register(namespace, self.controller.service, proxy.address)
        return self._proxies[namespace]

    def _workload(self) -> Object | None:
        named = f"metadata.name={self.controller.deployment}" if self.controller.deployment else ""
        found = self._plane.api.list(
            "apps/v1", self.controller.workload, label_selector=self.controller.label, field_selector=named
        )
        return next((each for each in found if self.controller.container(each)), None)

    def _why_not(self, workload: Object) -> str:
        container = self.controller.container(workload)
        assert container is not None  # noqa: S101 else it would not have been found
        asked, built = self.controller.version(container), self.controller.tool.version
        if asked != built and not self.controller.stand_in:
            return f"its image says {asked or 'no version'}, and the program that can be built is {built}"
        return "" if self._program else "its program was not built"

    def _start(self, namespace: str, template: Object) -> None:
        assert self._program is not None  # noqa: S101 else there is an obstacle
        container = self.controller.container({"spec": {"template": template}}) or {}
        environment = _environment(self._plane.api, namespace, container)
        (self._port,) = free_ports(1)
        account = template["spec"].get("serviceAccountName") or "default"
        launch = self.controller.launch(self._launch_context(self._program, namespace, account, self._port))
        self._plane.supervisor.start(
            self.controller.name,
            [str(self._program), *container.get("args", ()), *launch.arguments],
            self._log,
            {**environment, **launch.environment},
        )
        self._runs, self.up = template, True

    def _launch_context(self, program: Path, namespace: str, account: str, port: int) -> LaunchContext:
        folder = self._plane.folder / "controllers" / self.controller.name
        folder.mkdir(parents=True, exist_ok=True)
        user = f"system:serviceaccount:{namespace}:{account}"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_acting_for(user, self._plane.kubeconfig.read_text()))
        host = f"{self.controller.service}.{namespace}.svc"
        certificate = self._plane.certificate_authority.issue_certificate(self.controller.name, hosts=[host])
        return LaunchContext(
            namespace=namespace,
            user=user,
            program=program,
            kubeconfig=kubeconfig,
            folder=folder,
            port=port,
            certificate=certificate,
            authority=self._plane.certificate_authority.ca_file,
            proxy=self._others.git_server.proxy,
            reach=lambda name: self._others.reach(name, namespace),
        )

    def _stop(self) -> None:
        if self.up:
            self._plane.supervisor.stop(self.controller.name)
        self._port, self.up = None, False

    def _handle_exit(self) -> None:
        """Note that the process ended by itself, and when it may be started again: later each time."""
        code = self._plane.supervisor.exit_code(self.controller.name)
        if not self.up or code is None:
            return
        self._ends += 1
        self._not_before = time.monotonic() + min(2.0 ** (self._ends - 1), _LONGEST_PAUSE)
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        times = "once" if self._ends == 1 else f"{self._ends} times"
        self.problem = f"{self.controller.name} ended {times} in mid-run (last with {ending}); its log is {self._log}"
        self._port, self.up = None, False

    @property
    def _log(self) -> Path:
        return self._plane.folder / "logs" / f"{self.controller.name}.log"


def _environment(api: ApiClient, namespace: str, container: Object) -> Mapping[str, str]:
    """What of a container's environment stands in its workload and in ConfigMaps; other references do not count."""
    maps: dict[str, Object] = {}
    found = {}
    for each in container.get("env", ()):
        asked = each.get("valueFrom", {}).get("configMapKeyRef")
        if asked and asked["name"] not in maps:
            maps[asked["name"]] = (api.get("v1", "ConfigMap", asked["name"], namespace) or {}).get("data") or {}
        value = maps[asked["name"]].get(asked["key"]) if asked else each.get("value")
        if value is not None:
            found[each["name"]] = value
    return found


def _acting_for(user: str, administrator: str) -> str:
    """An administrator's kubeconfig that acts for somebody else:
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    config = yaml.safe_load(administrator)
    config["users"][0]["user"]["as"] = user
    return yaml.safe_dump(config)
