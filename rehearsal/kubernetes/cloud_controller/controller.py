"""What the cloud puts into a cluster of its own, derived from the simulated state: forgotten there, missing here.

All of it is simulated, carries the label `groundwork.rehearsal/simulated`, and follows the state as it changes.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller import identity, metrics, storage, system_workloads
from rehearsal.kubernetes.cloud_controller.autoscaler import Autoscaler
from rehearsal.kubernetes.cloud_controller.load_balancers import LoadBalancers
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, find_managed_cluster
from rehearsal.kubernetes.cloud_controller.nodes import Nodes
from rehearsal.kubernetes.cloud_controller.reconciler import Reconciler
from rehearsal.kubernetes.cloud_controller.vm_sizes import UnknownVmSizeError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.watch import watch_objects
from rehearsal.simulator.core.state_store import StateStore

_PERIOD = 0.25  # seconds between two looks at the state
_SLOWLY = 5  # seconds after which the cluster is looked at even if nothing in it seems to have changed
# What the simulated cloud acts on in the cluster.
_WATCHED = (
    ("v1", "Node"),
    ("v1", "Pod"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "PersistentVolume"),
    ("v1", "Service"),
    ("apps/v1", "DaemonSet"),
    ("apiregistration.k8s.io/v1", "APIService"),
)


class CloudController:
    """Keeps a cluster as the state says it is."""

    def __init__(self, plane: ControlPlane, state: StateStore, egress: EgressProxy) -> None:
        self._api = plane.api
        self._state = state
        self._reconciler = Reconciler(plane.api)
        self._nodes = Nodes(plane.api, plane.version)
        self._autoscaler = Autoscaler(plane.api, plane.version)
        self._provisioner = storage.Provisioner(plane.api)
        self._load_balancers = LoadBalancers(plane.api)
        self._metrics = metrics.MetricsApi(plane.api, egress)
        identity.register_webhooks(egress, plane.api, lambda: find_managed_cluster(state))
        self._ended, self._stirred = threading.Event(), threading.Event()
        self._rounds = itertools.count(1)
        self._begun = 0
        self._quiet = 0  # the last round that found everything as it should be
        self._problems: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Follow the state for as long as the context lasts."""
        threads = [threading.Thread(target=self._run, daemon=True)]
        threads += [threading.Thread(target=self._listen, args=kind, daemon=True) for kind in _WATCHED]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            threads[0].join(1)

    def wait_until_converged(self, timeout: float) -> None:
        """Return when the cluster holds what the state says now; after `timeout` seconds at the latest."""
        end = time.monotonic() + timeout
        since = self._begun
        while self._quiet <= since and time.monotonic() < end:
            self._stirred.set()
            time.sleep(0.05)

    def problems(self) -> list[str]:
        """What the simulated cloud could not do, as it stands now."""
        return list(self._problems)

    def notes(self) -> list[str]:
        """What the simulated cloud did of its own accord: which pools have grown."""
        cluster = find_managed_cluster(self._state)
        return self._autoscaler.notes(cluster) if cluster else []

    def _run(self) -> None:
        cluster: ManagedCluster | None = None
        looked = 0.0
        while not self._ended.is_set():
            before, cluster = cluster, find_managed_cluster(self._state)
            if self._stirred.is_set() or cluster != before or time.monotonic() > looked + _SLOWLY:
                looked = time.monotonic()
                self._round(cluster)
            self._ended.wait(_PERIOD)

    def _listen(self, api_version: str, kind: str) -> None:
        for _ in watch_objects(self._api, api_version, kind, self._ended):
            self._stirred.set()

    def _round(self, cluster: ManagedCluster | None) -> None:
        self._begun = number = next(self._rounds)
        self._stirred.clear()
        problems: list[str] = []
        try:
            changed = self._bring(cluster, problems)
        except Exception as error:  # a thread that ended would leave everybody waiting without a word
            self._stirred.set()
            problems, changed = [f"The simulated cloud could not bring the cluster in line: {error!r}"], True
        self._problems = problems  # only now: whoever asks in the middle of a round is told of the last one's
        if not changed:
            self._quiet = number

    def _bring(self, cluster: ManagedCluster | None, problems: list[str]) -> bool:
        changed = self._bring_nodes(cluster, problems)
        changed |= self._reconciler.reconcile(_manifests(cluster) if cluster else ())
        changed |= self._provisioner.reconcile(storage.drivers(cluster))
        changed |= self._load_balancers.reconcile(cluster)
        self._metrics.serve()
        return changed

    def _bring_nodes(self, cluster: ManagedCluster | None, problems: list[str]) -> bool:
        gpus = any(map(_finds_gpus, self._api.list("apps/v1", "DaemonSet")))
        more = self._autoscaler.more(cluster, gpus=gpus) if cluster else {}
        idle = self._autoscaler.idle(cluster) if cluster else ()
        try:
            return self._nodes.reconcile(cluster, more, idle, gpus=gpus)
        except UnknownVmSizeError as error:
            problems.append(f"A pool has no nodes: {error}")
            return False


def _manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """What is in the cluster for no other reason than that the stack has it."""
    for part in (storage, system_workloads, identity, metrics):
        yield from part.build_manifests(cluster)


def _finds_gpus(daemon: Object) -> bool:
    """Whether it is a device plugin of NVIDIA's: without one a node has GPUs, but nobody is told."""
    images = [container["image"] for container in daemon["spec"]["template"]["spec"]["containers"]]
    return any("nvidia" in image and "device-plugin" in image for image in images)
