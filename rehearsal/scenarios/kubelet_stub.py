"""A stand-in for the kubelets, for pods whose process this machine can run: the serving image's.

A pod that carries the annotation is left alone by kwok. Here its container's process runs for real, with the
environment that its manifest gives it, and the pod becomes Ready when the process answers the container's own probe.
What a container's image, filesystem, user, cgroup and network would add is not there.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from rehearsal.kubernetes.client import ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports

ANNOTATION = "rehearsal.groundwork/process"

_PERIOD = 0.5  # seconds between two looks at the pods
_PATIENCE = 2.0  # seconds that a process has for the answer to a probe
_LONGEST_PAUSE = 60.0  # seconds between two starts of a process that keeps ending
_ADDRESS = "10.255.{}.{}"  # of pods: no node has a part of it


@dataclass
class _Process:
    """The process of one pod.

    name    as the guard knows it, and of its log
    ends    how often it has ended by itself
    """

    namespace: str
    name: str
    address: str
    port: int
    ready: bool = False
    ends: int = 0
    not_before: float = 0.0
    stopping: threading.Thread | None = field(default=None, repr=False)


class KubeletStub:
    """Runs the processes of annotated pods; `program` is what stands in for the image's entry point."""

    def __init__(self, plane: ControlPlane, program: Sequence[str], environment: Mapping[str, str]) -> None:
        """`environment` is what this machine has to add to a container's own."""
        self._plane = plane
        self._program = program
        self._environment = environment
        self._processes: dict[str, _Process] = {}  # by the pod's UID
        self._ended = threading.Event()
        self._number = 0

    @contextmanager
    def run(self) -> Iterator[None]:
        """Look after the pods for as long as the context lasts; on return no process runs any more."""
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._ended.set()
            watch.join()
            for process in self._processes.values():
                self._plane.supervisor.stop(process.name)

    def port(self, address: str) -> int | None:
        """Where on this machine the process of the pod with this address answers."""
        return next((each.port for each in list(self._processes.values()) if each.address == address), None)

    def metrics(self) -> str:
        """What kube-state-metrics would say of the pods' restarts:
        https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md
        """
        restarts = "kube_pod_container_status_restarts_total"
        lines = [
            f'{restarts}{{namespace="{each.namespace}",pod="{each.name}"}} {each.ends}'
            for each in list(self._processes.values())
        ]
        return "\n".join([f"# TYPE {restarts} counter", *lines, ""])

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD):
            with contextlib.suppress(ApiError, ApiUnreachableError):
                pods = [pod for pod in self._plane.api.list("v1", "Pod") if _ours(pod)]
                self._forget({pod["metadata"]["uid"] for pod in pods})
                for pod in pods:
                    self._look(pod)

    def _look(self, pod: Object) -> None:
        process = self._processes.get(pod["metadata"]["uid"])
        if pod["metadata"].get("deletionTimestamp"):
            self._end(pod, process)
        elif process is None:
            self._begin(pod)
        else:
            self._handle_exit(pod, process)
            self._probe(pod, process)

    def _begin(self, pod: Object) -> None:
        self._number += 1
        (port,) = free_ports(1)
        metadata = pod["metadata"]
        process = _Process(metadata["namespace"], metadata["name"], _ADDRESS.format(*divmod(self._number, 250)), port)
        self._processes[metadata["uid"]] = process
        self._start(pod, process)
        self._write(pod, process)

    def _start(self, pod: Object, process: _Process) -> None:
        log = self._plane.folder / "logs" / f"{process.name}.log"
        own = {each["name"]: each["value"] for each in _container(pod).get("env", ()) if "value" in each}
        environment = {**own, **self._environment, "HOST": HOST, "PORT": str(process.port)}
        self._plane.supervisor.start(process.name, self._program, log, environment, graceful=True)

    def _handle_exit(self, pod: Object, process: _Process) -> None:
        """Start a process that ended by itself again, later each time, as kubelets do."""
        ended = self._plane.supervisor.exit_code(process.name) is not None
        if ended and not process.not_before:
            process.ends += 1
            process.not_before = time.monotonic() + min(2.0**process.ends, _LONGEST_PAUSE)
        elif ended and time.monotonic() >= process.not_before:
            process.not_before = 0.0
            self._start(pod, process)

    def _probe(self, pod: Object, process: _Process) -> None:
        path = _container(pod)["readinessProbe"]["httpGet"]["path"]
        ready = False
        with contextlib.suppress(requests.RequestException):
            ready = requests.get(f"http://{HOST}:{process.port}{path}", timeout=_PATIENCE).status_code == 200
        if ready != process.ready or process.ends != _counted(pod):
            process.ready = ready
            self._write(pod, process)

    def _end(self, pod: Object, process: _Process | None) -> None:
        """End the process of a pod that is deleted, beside the others' care: draining takes seconds."""
        if process is None:
            self._remove(pod)
        elif process.stopping is None:
            process.stopping = threading.Thread(target=self._stop, args=(pod, process), daemon=True)
            process.stopping.start()

    def _stop(self, pod: Object, process: _Process) -> None:
        self._plane.supervisor.stop(process.name)
        with contextlib.suppress(ApiError, ApiUnreachableError):
            self._remove(pod)

    def _remove(self, pod: Object) -> None:
        path = self._plane.api.discover("v1", "Pod").object_path(pod["metadata"]["namespace"], pod["metadata"]["name"])
        with contextlib.suppress(ApiError):  # it is gone
            self._plane.api.request("DELETE", path, body={"gracePeriodSeconds": 0})

    def _forget(self, there: set[str]) -> None:
        """Processes whose pods are gone, by force or with their namespace."""
        for uid in set(self._processes) - there:
            process = self._processes.pop(uid)
            if process.stopping is None:
                threading.Thread(target=self._plane.supervisor.stop, args=(process.name,), daemon=True).start()

    def _write(self, pod: Object, process: _Process) -> None:
        self._plane.api.patch(pod, {"status": _status(pod, process)}, "/status")


def _ours(pod: Object) -> bool:
    annotated = ANNOTATION in pod["metadata"].get("annotations", {})
    return annotated and bool(pod["spec"].get("nodeName"))


def _container(pod: Object) -> Mapping[str, Any]:
    container: Mapping[str, Any] = pod["spec"]["containers"][0]
    return container


def _counted(pod: Object) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def _status(pod: Object, process: _Process) -> Mapping[str, Any]:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    states = {"Initialized": True, "ContainersReady": process.ready, "Ready": process.ready, "PodScheduled": True}
    container = _container(pod)
    return {
        "phase": "Running",
        "podIP": process.address,
        "podIPs": [{"ip": process.address}],
        "startTime": pod["metadata"]["creationTimestamp"],
        "conditions": [
            {"type": kind, "status": str(holds), "lastTransitionTime": now} for kind, holds in states.items()
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": process.ready,
                "started": process.ready,
                "restartCount": process.ends,
                "state": {"running": {"startedAt": now}},
            }
        ],
    }
