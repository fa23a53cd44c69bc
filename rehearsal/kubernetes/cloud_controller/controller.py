"""The cloud's part of a managed cluster: nodes, storage, load balancers, identity, system workloads, metrics.

All of it is derived from the simulated cloud's state and follows its changes: the cluster lacks whatever the stack does
not declare. Its objects carry the label `groundwork.rehearsal/simulated`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller import cilium, identity, metrics, storage, system_workloads
from rehearsal.kubernetes.cloud_controller.autoscaler import Autoscaler
from rehearsal.kubernetes.cloud_controller.cluster_network import describe_network
from rehearsal.kubernetes.cloud_controller.load_balancers import LoadBalancers
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, find_managed_cluster
from rehearsal.kubernetes.cloud_controller.nodes import Nodes, describe_estimates
from rehearsal.kubernetes.cloud_controller.reconciler import Reconciler
from rehearsal.kubernetes.cloud_controller.versions import describe_differences
from rehearsal.kubernetes.cloud_controller.vm_sizes import UnknownVmSizeError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.readiness.network_flows import ClusterNetwork
from rehearsal.kubernetes.watch import watch_objects
from rehearsal.polling import WaitTimeoutError, wait_until
from rehearsal.simulator.core.state_store import StateStore

_POLL_INTERVAL = 0.25  # seconds between two reads of the simulated cloud's state
_RESYNC_INTERVAL = 5  # seconds after which the cluster is reconciled even if nothing in it has changed
_CONVERGENCE_POLL_INTERVAL = 0.05  # seconds
# The kinds whose changes start a round of reconciliation.
_WATCHED_KINDS = (
    ("v1", "Node"),
    ("v1", "Pod"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "PersistentVolume"),
    ("v1", "Service"),
    ("apps/v1", "DaemonSet"),
    ("apiregistration.k8s.io/v1", "APIService"),
)


class CloudController:
    """Reconciles a cluster with the simulated cloud's state, in rounds."""

    def __init__(self, plane: ControlPlane, state: StateStore, egress: EgressProxy) -> None:
        self._api = plane.api
        self._version = plane.version
        self._state = state
        self._reconciler = Reconciler(plane.api)
        self._nodes = Nodes(plane.api, plane.version)
        self._autoscaler = Autoscaler(plane.api, plane.version)
        self._provisioner = storage.Provisioner(plane.api)
        self._load_balancers = LoadBalancers(plane.api)
        self._metrics = metrics.MetricsApi(plane.api, egress)
        identity.register_webhooks(egress, plane.api, lambda: find_managed_cluster(state))
        self._stopped, self._triggered = threading.Event(), threading.Event()
        self._round_numbers = itertools.count(1)
        self._current_round = 0
        self._last_unchanged_round = 0
        self._problems: list[str] = []

    @contextmanager
    def run(self) -> Iterator[None]:
        """Reconcile in a thread while the context lasts."""
        threads = [threading.Thread(target=self._reconcile_continuously, daemon=True)]
        threads += [threading.Thread(target=self._watch, args=kind, daemon=True) for kind in _WATCHED_KINDS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            threads[0].join(1)

    def wait_until_converged(self, timeout: float) -> None:
        """Wait for a round that begins after this call and changes nothing, for at most `timeout` seconds."""
        current_round = self._current_round

        def has_converged() -> bool:
            self._triggered.set()
            return self._last_unchanged_round > current_round

        with suppress(WaitTimeoutError):
            wait_until(has_converged, timeout=timeout, interval=_CONVERGENCE_POLL_INTERVAL)

    def problems(self) -> list[str]:
        """The failures of the last finished round."""
        return list(self._problems)

    def network(self) -> ClusterNetwork | None:
        """The network whose engine enforces network policies in the cluster; None if nothing does."""
        cluster = find_managed_cluster(self._state)
        return describe_network(cluster) if cluster else None

    def notes(self) -> list[str]:
        """What the simulated cloud did by itself or estimated, and how its cluster differs from the declared one."""
        cluster = find_managed_cluster(self._state)
        if cluster is None:
            return []
        return [
            *self._autoscaler.describe_scale_ups(cluster),
            *describe_estimates(cluster),
            *describe_differences(cluster, self._version),
        ]

    def _reconcile_continuously(self) -> None:
        cluster: ManagedCluster | None = None
        last_round = 0.0
        while not self._stopped.is_set():
            previous, cluster = cluster, find_managed_cluster(self._state)
            is_due = time.monotonic() > last_round + _RESYNC_INTERVAL
            if self._triggered.is_set() or cluster != previous or is_due:
                last_round = time.monotonic()
                self._run_round(cluster)
            self._stopped.wait(_POLL_INTERVAL)

    def _watch(self, api_version: str, kind: str) -> None:
        for _ in watch_objects(self._api, api_version, kind, self._stopped):
            self._triggered.set()

    def _run_round(self, cluster: ManagedCluster | None) -> None:
        self._current_round = number = next(self._round_numbers)
        self._triggered.clear()
        problems: list[str] = []
        try:
            changed = self._reconcile(cluster, problems)
        except Exception as error:  # the thread must continue: without it no wait would ever end
            self._triggered.set()
            problems, changed = [f"The simulated cloud could not reconcile the cluster: {error!r}"], True
        self._problems = problems  # only now: during a round, `problems` returns those of the previous round
        if not changed:
            self._last_unchanged_round = number

    def _reconcile(self, cluster: ManagedCluster | None, problems: list[str]) -> bool:
        changed = self._reconcile_nodes(cluster, problems)
        changed |= self._reconciler.reconcile(_build_manifests(cluster) if cluster else ())
        changed |= self._provisioner.reconcile(storage.installed_drivers(cluster))
        changed |= self._load_balancers.reconcile(cluster)
        self._metrics.register()
        return changed

    def _reconcile_nodes(self, cluster: ManagedCluster | None, problems: list[str]) -> bool:
        has_gpu_plugin = any(map(_is_gpu_plugin, self._api.list("apps/v1", "DaemonSet")))
        additional = self._autoscaler.plan_scale_up(cluster, with_gpus=has_gpu_plugin) if cluster else {}
        idle = self._autoscaler.find_idle_nodes(cluster) if cluster else ()
        try:
            return self._nodes.reconcile(cluster, additional, idle, with_gpus=has_gpu_plugin)
        except UnknownVmSizeError as error:
            problems.append(f"A node pool has no nodes: {error}")
            return False


def _build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The objects that depend only on the managed cluster."""
    for part in (cilium, storage, system_workloads, identity, metrics):
        yield from part.build_manifests(cluster)


def _is_gpu_plugin(daemon_set: Object) -> bool:
    """Whether it is NVIDIA's device plugin, without which a node does not advertise its GPUs."""
    images = [container["image"] for container in daemon_set["spec"]["template"]["spec"]["containers"]]
    return any("nvidia" in image and "device-plugin" in image for image in images)
