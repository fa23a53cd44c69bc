"""A stub of the kubelets, for pods whose processes can run on this machine: pods of the platform's own images.

kwok ignores pods with the label. The stub runs the process of each container of such a pod with the arguments, the
environment and the mounted volumes of its manifest, and sets the pod Ready when the processes pass the containers' own
readiness probes; the pod of a Job succeeds or fails with its process. Images, users, cgroups, pod networks, init
containers and the filesystem outside of mounted volumes are not modelled.
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

from rehearsal.kubernetes.client import ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.scenarios.container_process import ALWAYS, ContainerProcess, ImageProgram
from rehearsal.scenarios.pod_volumes import MissingObjectError, create_volumes, refresh_config_maps

PROCESS_LABEL = "rehearsal.groundwork/process"

_POLL_INTERVAL = 0.5  # seconds between two polls of the pods
_REFRESH_INTERVAL = 3.0  # seconds between two refreshes of a pod's ConfigMaps; kubelets take up to a minute
_POD_ADDRESS = "10.255.{}.{}"  # in no node's subnet


@dataclass
class _RunningPod:
    """The processes of one pod.

    containers  in the order of the manifest
    reported    its last reported status: whether it is ready, and its containers' restarts; None before the first
    """

    namespace: str
    name: str
    address: str
    volumes: Mapping[str, Path]
    containers: Sequence[ContainerProcess]
    reported: tuple[bool, Sequence[int]] | None = None
    has_ended: bool = False
    refreshed_at: float = 0.0
    stop_thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def is_ready(self) -> bool:
        return all(container.is_ready for container in self.containers)

    @property
    def restarts(self) -> Sequence[int]:
        return [container.restarts for container in self.containers]

    def find_port(self, container_port: int | None) -> int | None:
        """The port on which the container with this port listens; in a pod with one container, that container's."""
        if len(self.containers) == 1:
            return self.containers[0].port
        return next((each.port for each in self.containers if each.container_port == container_port), None)

    def stop(self) -> None:
        for container in self.containers:
            container.stop()


class KubeletStub:
    """Runs the processes of labelled pods."""

    def __init__(self, plane: ControlPlane, programs: Mapping[str, ImageProgram]) -> None:
        """`programs` are keyed by the last part of the image's name; labelled pods of other images stay Pending."""
        self._plane = plane
        self._programs = programs
        self._pods: dict[str, _RunningPod] = {}  # by UID
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
            for running in self._pods.values():
                running.stop()

    def find_port(self, address: str, container_port: int | None = None) -> int | None:
        """The port on this machine of the process behind a port of the pod with an address; None if there is none."""
        found = next((each for each in list(self._pods.values()) if each.address == address), None)
        return found.find_port(container_port) if found else None

    def render_metrics(self) -> str:
        """The pods' restarts, as kube-state-metrics exposes them:
        https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md
        """
        metric = "kube_pod_container_status_restarts_total"
        lines = [
            f'{metric}{{namespace="{pod.namespace}",pod="{pod.name}",container="{each.name}"}} {each.restarts}'
            for pod in list(self._pods.values())
            for each in pod.containers
        ]
        return "\n".join([f"# TYPE {metric} counter", *lines, ""])

    def _reconcile_continuously(self) -> None:
        while not self._stopped.wait(_POLL_INTERVAL):
            with contextlib.suppress(ApiError, ApiUnreachableError):
                pods = [
                    pod for pod in self._plane.api.list("v1", "Pod", label_selector=PROCESS_LABEL) if self._runs(pod)
                ]
                self._stop_orphans({pod["metadata"]["uid"] for pod in pods})
                for pod in pods:
                    self._reconcile(pod)

    def _runs(self, pod: Object) -> bool:
        is_scheduled = bool(pod["spec"].get("nodeName"))
        return is_scheduled and all(_image_name(each) in self._programs for each in pod["spec"]["containers"])

    def _reconcile(self, pod: Object) -> None:
        running = self._pods.get(pod["metadata"]["uid"])
        if pod["metadata"].get("deletionTimestamp"):
            self._terminate(pod, running)
        elif running is None:
            self._create(pod)
        elif not running.has_ended:
            self._look_after(pod, running)

    def _create(self, pod: Object) -> None:
        metadata = pod["metadata"]
        folder = self._plane.folder / "pods" / metadata["uid"]
        try:
            volumes = create_volumes(self._plane.api, pod, folder)
        except MissingObjectError:  # the rehearsal's summary names it
            return
        self._pod_count += 1
        address = _POD_ADDRESS.format(*divmod(self._pod_count, 250))
        containers = [
            self._create_container(pod, container, volumes, folder) for container in pod["spec"]["containers"]
        ]
        running = _RunningPod(metadata["namespace"], metadata["name"], address, volumes, containers)
        self._pods[metadata["uid"]] = running
        for container in containers:
            container.start()
        self._report(pod, running)

    def _create_container(
        self, pod: Object, container: Mapping[str, Any], volumes: Mapping[str, Path], folder: Path
    ) -> ContainerProcess:
        pod_name = str(pod["metadata"]["name"])
        name = pod_name if len(pod["spec"]["containers"]) == 1 else f"{pod_name}-{container['name']}"
        folder.mkdir(parents=True, exist_ok=True)
        program, log = self._programs[_image_name(container)], pod_log(self._plane, name)
        return ContainerProcess(self._plane.supervisor, name, container, program, volumes, log, folder)

    def _look_after(self, pod: Object, running: _RunningPod) -> None:
        policy = str(pod["spec"].get("restartPolicy", ALWAYS))
        for container in running.containers:
            if not container.has_ended(policy):
                container.restart_if_exited()
                container.probe()
        running.has_ended = all(container.has_ended(policy) for container in running.containers)
        if time.monotonic() - running.refreshed_at > _REFRESH_INTERVAL:
            with contextlib.suppress(MissingObjectError):  # deleted meanwhile: its files stay
                refresh_config_maps(self._plane.api, pod, running.volumes)
            running.refreshed_at = time.monotonic()
        if running.has_ended or (running.is_ready, running.restarts) != running.reported:
            self._report(pod, running)

    def _terminate(self, pod: Object, running: _RunningPod | None) -> None:
        """Stop the processes of a deleted pod in a separate thread: draining takes seconds."""
        if running is None:
            self._delete(pod)
        elif running.stop_thread is None:
            running.stop_thread = threading.Thread(target=self._stop, args=(pod, running), daemon=True)
            running.stop_thread.start()

    def _stop(self, pod: Object, running: _RunningPod) -> None:
        running.stop()
        with contextlib.suppress(ApiError, ApiUnreachableError):
            self._delete(pod)

    def _delete(self, pod: Object) -> None:
        path = self._plane.api.discover("v1", "Pod").object_path(pod["metadata"]["namespace"], pod["metadata"]["name"])
        with contextlib.suppress(ApiError):  # already gone
            self._plane.api.request("DELETE", path, body={"gracePeriodSeconds": 0})

    def _stop_orphans(self, existing: set[str]) -> None:
        """Stop processes whose pods were deleted by force or with their namespace."""
        for uid in set(self._pods) - existing:
            running = self._pods.pop(uid)
            if running.stop_thread is None:
                threading.Thread(target=running.stop, daemon=True).start()

    def _report(self, pod: Object, running: _RunningPod) -> None:
        self._plane.api.patch(pod, {"status": _build_status(pod, running)}, "/status")
        running.reported = (running.is_ready, running.restarts)


def pod_log(plane: ControlPlane, name: str) -> Path:
    """The file with the output of a pod's process; with a single container, it has the pod's name."""
    return plane.folder / "logs" / f"{name}.log"


def _image_name(container: Mapping[str, Any]) -> str:
    """The last part of the name of a container's image, without tag and digest."""
    name: str = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name


def _build_status(pod: Object, running: _RunningPod) -> Mapping[str, Any]:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"""
    now = _format_time(time.time())
    is_ready = running.is_ready
    conditions = {"Initialized": True, "ContainersReady": is_ready, "Ready": is_ready, "PodScheduled": True}
    return {
        "phase": _find_phase(running),
        "podIP": running.address,
        "podIPs": [{"ip": running.address}],
        "startTime": pod["metadata"]["creationTimestamp"],
        "conditions": [
            {"type": type_, "status": str(holds), "lastTransitionTime": now} for type_, holds in conditions.items()
        ],
        "containerStatuses": [_describe_container(each, has_ended=running.has_ended) for each in running.containers],
    }


def _find_phase(running: _RunningPod) -> str:
    if not running.has_ended:
        return "Running"
    return "Failed" if any(container.exit_code for container in running.containers) else "Succeeded"


def _describe_container(container: ContainerProcess, *, has_ended: bool) -> Mapping[str, Any]:
    state: Mapping[str, Any] = {"running": {"startedAt": _format_time(container.started_at)}}
    if has_ended:
        terminated = {
            "exitCode": container.exit_code,
            "reason": "Error" if container.exit_code else "Completed",
            "message": container.read_message(),
            "startedAt": _format_time(container.started_at),
            "finishedAt": _format_time(container.ended_at),
        }
        state = {"terminated": terminated}
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": container.is_ready,
        "started": container.is_ready,
        "restartCount": container.restarts,
        "state": state,
    }


def _format_time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
