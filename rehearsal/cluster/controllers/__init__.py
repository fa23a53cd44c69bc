"""Controllers that run for real beside the control plane.

A Deployment's pods are simulated: they hold a place on a node, and do nothing. Where a pod would run one of the
controllers known here, and its program is on this machine, the program runs beside the control plane for as long as
the Deployment has a ready pod: with its container's arguments, under its ServiceAccount's rights, its webhooks within
the API server's reach. Otherwise that controller is simulated, which means that nothing does its work.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from rehearsal import tools
from rehearsal.cluster.api import ApiError, Object, Unreachable
from rehearsal.cluster.control_plane import HOST, ControlPlane
from rehearsal.cluster.controllers import gateway
from rehearsal.cluster.controllers.controller import Controller, Seat
from rehearsal.cluster.controllers.door import Door
from rehearsal.cluster.controllers.kserve import KSERVE
from rehearsal.cluster.controllers.prometheus import PROMETHEUS
from rehearsal.cluster.egress import Egress
from rehearsal.console import UserError, say

CONTROLLERS = (KSERVE, PROMETHEUS)

_PERIOD = 0.5  # seconds between two looks at the cluster
_LONGEST_PAUSE = 60.0  # seconds between two starts of a process that keeps ending


def programs(charts: Collection[str]) -> Mapping[str, Path]:
    """The programs of the controllers that these charts install, by name; built where there are none yet.

    To be called before a rehearsal, for a build takes minutes. One that cannot be had is left out, and the reason said.
    """
    found = {}
    for controller in CONTROLLERS:
        if controller.chart in charts:
            try:
                found[controller.name] = tools.find(controller.tool)
            except UserError as error:
                say(f"Simulated only: {controller.tool.title}. {error}")
    return found


class Controllers:
    """Looks after the real controllers of one control plane, and after a simulated one for gateways."""

    def __init__(self, plane: ControlPlane, egress: Egress, programs: Mapping[str, Path]) -> None:
        self._plane = plane
        self._ended = threading.Event()
        self._places = [_Place(each, programs.get(each.name), plane, egress) for each in CONTROLLERS]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look after them for as long as the context lasts; on return none runs any more."""
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._ended.set()
            watch.join()
            for place in self._places:
                place.close()

    def served(self) -> Collection[str]:
        """The kinds that a real process serves now."""
        return [kind for place in self._places if place.up for kind in place.controller.kinds]

    def simulated(self) -> Sequence[str]:
        """Which of the controllers known here the cluster has, but only simulated, and why."""
        return [f"{place.controller.tool.title}: {place.obstacle}" for place in self._places if place.obstacle]

    def faults(self) -> Sequence[str]:
        """The processes that ended while they should run. Each was started again, as a kubelet would."""
        return [place.fault for place in self._places if place.fault]

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD):
            with contextlib.suppress(ApiError, Unreachable):
                for place in self._places:
                    place.look()
                gateway.settle(self._plane.api)


class _Place:
    """The place of one controller: empty, simulated, or taken by a real process."""

    def __init__(self, controller: Controller, program: Path | None, plane: ControlPlane, egress: Egress) -> None:
        self.controller = controller
        self.up = False
        self.obstacle = ""
        self.fault = ""
        self._program = program
        self._plane = plane
        self._egress = egress
        self._runs: Object = {}  # the Deployment's pod template that the process was started for
        self._port: int | None = None
        self._doors: dict[str, Door] = {}  # by namespace
        self._ends = 0
        self._not_before = 0.0  # on the monotonic clock

    def look(self) -> None:
        """Have the process run if, and only if, its Deployment says so."""
        deployment = self._deployment()
        self.obstacle = self._why_not(deployment) if deployment else ""
        if not deployment or self.obstacle:
            self._stop()
            return
        namespace, template = deployment["metadata"]["namespace"], deployment["spec"]["template"]
        ready = bool(deployment["status"].get("readyReplicas"))
        self._open_door(namespace)
        self._mourn()
        if not ready or template != self._runs:
            self._stop()
        if ready and not self.up and time.monotonic() >= self._not_before:
            self._start(namespace, template)

    def close(self) -> None:
        self._stop()
        for door in self._doors.values():
            door.close()

    def _deployment(self) -> Object | None:
        named = f"metadata.name={self.controller.deployment}"
        found = self._plane.api.list("apps/v1", "Deployment", fields=named)
        return next((each for each in found if self.controller.container(each)), None)

    def _why_not(self, deployment: Object) -> str:
        container = self.controller.container(deployment)
        assert container is not None  # noqa: S101 else it would not have been found
        asked, built = self.controller.version(container), self.controller.tool.version
        if asked != built:
            return f"its image says {asked or 'no version'}, and the program that can be built is {built}"
        return "" if self._program else "its program was not built"

    def _open_door(self, namespace: str) -> None:
        if namespace not in self._doors:
            door = self._doors[namespace] = Door(lambda: self._port)
            self._egress.register(namespace, self.controller.service, door.address)

    def _start(self, namespace: str, template: Object) -> None:
        assert self._program is not None  # noqa: S101 else there is an obstacle
        container = self.controller.container({"spec": {"template": template}}) or {}
        self._port = _free_port()
        seat = self._seat(namespace, template["spec"].get("serviceAccountName") or "default", self._port)
        launch = self.controller.launch(seat)
        self._plane.guard.start(
            self.controller.name,
            [str(self._program), *container.get("args", ()), *launch.arguments],
            self._log,
            {**_environment(container), **launch.environment},
        )
        self._runs, self.up = template, True

    def _seat(self, namespace: str, account: str, port: int) -> Seat:
        folder = self._plane.folder / "controllers" / self.controller.name
        folder.mkdir(parents=True, exist_ok=True)
        user = f"system:serviceaccount:{namespace}:{account}"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_acting_for(user, self._plane.kubeconfig.read_text()))
        host = f"{self.controller.service}.{namespace}.svc"
        certificate = self._plane.authority.certificate(self.controller.name, hosts=[host])
        return Seat(namespace, user, kubeconfig, folder, port, certificate)

    def _stop(self) -> None:
        if self.up:
            self._plane.guard.stop(self.controller.name)
        self._port, self.up = None, False

    def _mourn(self) -> None:
        """Note that the process ended by itself, and when it may be started again: later each time."""
        code = self._plane.guard.exit_code(self.controller.name)
        if not self.up or code is None:
            return
        self._ends += 1
        self._not_before = time.monotonic() + min(2.0 ** (self._ends - 1), _LONGEST_PAUSE)
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        times = "once" if self._ends == 1 else f"{self._ends} times"
        self.fault = f"{self.controller.name} ended {times} in mid-run (last with {ending}); its log is {self._log}"
        self._port, self.up = None, False

    @property
    def _log(self) -> Path:
        return self._plane.folder / "logs" / f"{self.controller.name}.log"


def _environment(container: Object) -> Mapping[str, str]:
    """What of a container's environment stands in its Deployment; references into the cluster do not count."""
    return {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def _acting_for(user: str, administrator: str) -> str:
    """An administrator's kubeconfig that acts for somebody else:
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    config = yaml.safe_load(administrator)
    config["users"][0]["user"]["as"] = user
    return yaml.safe_dump(config)


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        return int(unused.getsockname()[1])
