"""The rehearsal's cluster as a whole, and what there is to say of it at the end."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.client import Unreachable
from rehearsal.kubernetes.cloud_controller.controller import CloudSide
from rehearsal.kubernetes.cloud_controller.identity import without_identity
from rehearsal.kubernetes.control_plane import control_plane
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import Egress
from rehearsal.kubernetes.controllers.git_server import Repositories
from rehearsal.kubernetes.controllers.manager import Controllers
from rehearsal.kubernetes.provider.provider import KubernetesProvider
from rehearsal.kubernetes.readiness import capacity, kubelet_checks, workloads
from rehearsal.simulator.core.state_store import StateStore

PATIENCE = 60  # seconds for pods to become Ready after an update; simulated ones take about two

# The resources that are a cluster. Without one in the state, what a former one held is gone.
_CLUSTERS = ("azure-native:containerservice:ManagedCluster", "aws:eks/cluster:Cluster")


@dataclass(frozen=True)
class Report:
    """What became of the cluster.

    version     of the control plane
    pods        how many are in which phase
    capacity    one line a pool: what is asked of it, and what it has
    notes       what the simulated cloud did by itself, and which controllers could not run for real, in words
    served      the custom kinds that a real controller acts on
    answered    webhooks whose pods are simulated: they were answered for, so often
    unattended  objects by custom kind that only simulated pods would act on
    faults      what is not Ready and why, with its remedy; and what went wrong with the control plane itself
    """

    version: str
    pods: Mapping[str, int] = field(default_factory=dict)
    capacity: Sequence[str] = ()
    notes: Sequence[str] = ()
    served: Sequence[str] = ()
    answered: Mapping[str, int] = field(default_factory=dict)
    unattended: Mapping[str, int] = field(default_factory=dict)
    faults: Sequence[str] = ()


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and the provider that the engine talks to."""

    plane: ControlPlane
    provider: KubernetesProvider
    _cloud_side: CloudSide
    _controllers: Controllers
    _egress: Egress

    @property
    def repositories(self) -> Repositories:
        """Where controllers find git repositories of this machine that stand for remote ones."""
        return self._controllers.repositories

    def report(self) -> Report:
        """What there is to say once everything has come to rest, at the latest after PATIENCE."""
        try:
            return self._report()
        except Unreachable as error:
            return Report(self.plane.version, faults=[*self.plane.faults(), str(error)])

    def _report(self) -> Report:
        api = self.plane.api
        self._cloud_side.settle(PATIENCE)
        faults = [fault.text for fault in workloads.settled(api, PATIENCE)]
        faults += [workload.text for workload in without_identity(api)]
        return Report(
            version=self.plane.version,
            pods=Counter(pod.get("status", {}).get("phase", "Unknown") for pod in api.list("v1", "Pod")),
            capacity=capacity.lines(api),
            notes=[*self._cloud_side.notes(), *self._controllers.simulated()],
            served=sorted(self._controllers.served()),
            answered=self._egress.answered(),
            unattended=kubelet_checks.unattended(api, self._controllers.served()),
            faults=[*self.plane.faults(), *self._cloud_side.faults(), *self._controllers.faults(), *faults],
        )


@contextmanager
def running(folder: Path, state: StateStore, programs: Mapping[str, Path]) -> Iterator[Cluster]:
    """The cluster of one rehearsal, its data in `folder`, for as long as the context lasts.

    `programs` are those of the controllers that may run for real. Raises UserError when the control plane does not come
    up.
    """
    if not any(record for type_ in _CLUSTERS for record in state.all(type_)):
        shutil.rmtree(folder, ignore_errors=True)
    egress = Egress()
    with egress.running(), control_plane.running(folder, egress.path) as plane:
        egress.attach(plane)
        cloud_side, controllers = CloudSide(plane, state, egress), Controllers(plane, egress, programs)
        with cloud_side.running(), controllers.running():
            provider = KubernetesProvider(plane, Releases(plane), state.append_to_journal)
            yield Cluster(plane, provider, cloud_side, controllers, egress)
