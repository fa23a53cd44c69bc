"""A stub of the kubelets, for pods whose process can run on this machine: those of the platform's own images.

kwok leaves pods with the annotation alone. The stub runs the process of such a pod's container, with the arguments, the
environment and the mounted Secrets of its manifest, and sets the pod Ready when the process passes the container's own
readiness probe. Images, users, cgroups, pod networks and all of the filesystem but mounted volumes are not modelled.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from rehearsal.kubernetes.client import ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports
from rehearsal.scenarios.pod_volumes import MissingObjectError, create_volumes, translate_path

PROCESS_ANNOTATION = "rehearsal.groundwork/process"

_POLL_INTERVAL = 0.5  # seconds between two looks at the pods
_PROBE_TIMEOUT = 2.0  # seconds
_MAX_RESTART_DELAY = 60.0  # seconds; the delay starts at 2 and doubles with each exit
_SCRATCH = "/tmp"  # noqa: S108 a path in containers
_POD_ADDRESS = "10.255.{}.{}"  # in no node's subnet


@dataclass(frozen=True)
class ImageProgram:
    """What runs in place of an image.

    entry_point  of the image
    environment  takes precedence over the container's own
    """

    entry_point: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class _PodProcess:
    """The process of one pod.

    name        of the pod, of the supervised process and of its log
    volumes     folders by the path that they are mounted at
    restarts    how often it exited by itself
    restart_at  on the monotonic clock, 0 while it is running
    """

    namespace: str
    name: str
    address: str
    port: int
    volumes: Mapping[str, Path]
    is_ready: bool = False
    restarts: int = 0
    restart_at: float = 0.0
    stop_thread: threading.Thread | None = field(default=None, repr=False)


class KubeletStub:
    """Runs the processes of annotated pods."""

    def __init__(self, plane: ControlPlane, programs: Mapping[str, ImageProgram]) -> None:
        """`programs` are by the last part of their image's name; annotated pods of other images stay Pending."""
        self._plane = plane
        self._programs = programs
        self._processes: dict[str, _PodProcess] = {}  # by the pod's UID
        self._stopped = threading.Event()
        self._pod_count = 0

    @contextmanager
    def run(self) -> Iterator[None]:
        """Start and stop processes as pods come and go, while the context lasts; on exit none is running."""
        thread = threading.Thread(target=self._reconcile_continuously, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
            for process in self._processes.values():
                self._plane.supervisor.stop(process.name)

    def find_port(self, address: str) -> int | None:
        """The port on this machine of the process whose pod has an address; None where there is none."""
        return next((process.port for process in list(self._processes.values()) if process.address == address), None)

    def render_metrics(self) -> str:
        """The pods' restarts, as kube-state-metrics exposes them:
        https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md
        """
        metric = "kube_pod_container_status_restarts_total"
        lines = [
            f'{metric}{{namespace="{process.namespace}",pod="{process.name}"}} {process.restarts}'
            for process in list(self._processes.values())
        ]
        return "\n".join([f"# TYPE {metric} counter", *lines, ""])

    def _reconcile_continuously(self) -> None:
        while not self._stopped.wait(_POLL_INTERVAL):
            with contextlib.suppress(ApiError, ApiUnreachableError):
                pods = [pod for pod in self._plane.api.list("v1", "Pod") if self._runs(pod)]
                self._stop_orphans({pod["metadata"]["uid"] for pod in pods})
                for pod in pods:
                    self._reconcile(pod)

    def _runs(self, pod: Object) -> bool:
        is_annotated = PROCESS_ANNOTATION in pod["metadata"].get("annotations", {})
        return is_annotated and bool(pod["spec"].get("nodeName")) and _image_name(pod) in self._programs

    def _reconcile(self, pod: Object) -> None:
        process = self._processes.get(pod["metadata"]["uid"])
        if pod["metadata"].get("deletionTimestamp"):
            self._terminate(pod, process)
        elif process is None:
            self._create(pod)
        else:
            self._restart_if_exited(pod, process)
            self._probe(pod, process)

    def _create(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            volumes = create_volumes(self._plane.api, pod, self._plane.folder / "pods" / metadata["uid"])
        except MissingObjectError:  # the rehearsal's summary names it
            return
        self._pod_count += 1
        (port,) = free_ports(1)
        address = _POD_ADDRESS.format(*divmod(self._pod_count, 250))
        process = _PodProcess(metadata["namespace"], metadata["name"], address, port, volumes)
        self._processes[metadata["uid"]] = process
        self._start(pod, process)
        self._write_status(pod, process)

    def _start(self, pod: Object, process: _PodProcess) -> None:
        container, program = _main_container(pod), self._programs[_image_name(pod)]
        declared = {
            variable["name"]: translate_path(variable["value"], process.volumes)
            for variable in container.get("env", ())
            if "value" in variable
        }
        own = {"HOST": HOST, "PORT": str(process.port)}
        if _SCRATCH in process.volumes:
            own["TMPDIR"] = str(process.volumes[_SCRATCH])
        environment = {**declared, **program.environment, **own}
        command = [*program.entry_point, *container.get("args", ())]
        log = pod_log(self._plane, process.name)
        self._plane.supervisor.start(process.name, command, log, environment, graceful=True)

    def _restart_if_exited(self, pod: Object, process: _PodProcess) -> None:
        """Restart a process that exited by itself, after a delay that grows with each exit, as kubelets do."""
        has_exited = self._plane.supervisor.exit_code(process.name) is not None
        if has_exited and not process.restart_at:
            process.restarts += 1
            process.restart_at = time.monotonic() + min(2.0**process.restarts, _MAX_RESTART_DELAY)
        elif has_exited and time.monotonic() >= process.restart_at:
            process.restart_at = 0.0
            self._start(pod, process)

    def _probe(self, pod: Object, process: _PodProcess) -> None:
        path = _main_container(pod)["readinessProbe"]["httpGet"]["path"]
        is_ready = False
        with contextlib.suppress(requests.RequestException):
            response = requests.get(f"http://{HOST}:{process.port}{path}", timeout=_PROBE_TIMEOUT)
            is_ready = response.status_code == 200
        if is_ready != process.is_ready or process.restarts != _reported_restarts(pod):
            process.is_ready = is_ready
            self._write_status(pod, process)

    def _terminate(self, pod: Object, process: _PodProcess | None) -> None:
        """Stop the process of a deleted pod in a thread of its own: draining takes seconds."""
        if process is None:
            self._delete(pod)
        elif process.stop_thread is None:
            process.stop_thread = threading.Thread(target=self._stop, args=(pod, process), daemon=True)
            process.stop_thread.start()

    def _stop(self, pod: Object, process: _PodProcess) -> None:
        self._plane.supervisor.stop(process.name)
        with contextlib.suppress(ApiError, ApiUnreachableError):
            self._delete(pod)

    def _delete(self, pod: Object) -> None:
        path = self._plane.api.discover("v1", "Pod").object_path(pod["metadata"]["namespace"], pod["metadata"]["name"])
        with contextlib.suppress(ApiError):  # already gone
            self._plane.api.request("DELETE", path, body={"gracePeriodSeconds": 0})

    def _stop_orphans(self, existing: set[str]) -> None:
        """Stop processes whose pods were deleted by force or with their namespace."""
        for uid in set(self._processes) - existing:
            process = self._processes.pop(uid)
            if process.stop_thread is None:
                threading.Thread(target=self._plane.supervisor.stop, args=(process.name,), daemon=True).start()

    def _write_status(self, pod: Object, process: _PodProcess) -> None:
        self._plane.api.patch(pod, {"status": _build_status(pod, process)}, "/status")


def pod_log(plane: ControlPlane, pod: str) -> Path:
    """The file with the output of a pod's process."""
    return plane.folder / "logs" / f"{pod}.log"


def _image_name(pod: Object) -> str:
    """The last part of the name of a container's image, without tag and digest."""
    name: str = _main_container(pod)["image"].partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name


def _main_container(pod: Object) -> Mapping[str, Any]:
    container: Mapping[str, Any] = pod["spec"]["containers"][0]
    return container


def _reported_restarts(pod: Object) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def _build_status(pod: Object, process: _PodProcess) -> Mapping[str, Any]:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    is_ready = process.is_ready
    conditions = {"Initialized": True, "ContainersReady": is_ready, "Ready": is_ready, "PodScheduled": True}
    container = _main_container(pod)
    return {
        "phase": "Running",
        "podIP": process.address,
        "podIPs": [{"ip": process.address}],
        "startTime": pod["metadata"]["creationTimestamp"],
        "conditions": [
            {"type": type_, "status": str(holds), "lastTransitionTime": now} for type_, holds in conditions.items()
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": is_ready,
                "started": is_ready,
                "restartCount": process.restarts,
                "state": {"running": {"startedAt": now}},
            }
        ],
    }
