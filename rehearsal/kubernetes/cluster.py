"""The rehearsal's cluster: control plane, egress proxy, cloud controller, other controllers, and the report on them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal import wiring
from rehearsal.helm.releases import installed_objects
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.client import ApiUnreachableError, Object
from rehearsal.kubernetes.cloud_controller.controller import CloudController
from rehearsal.kubernetes.cloud_controller.drain import ClusterDrain
from rehearsal.kubernetes.cloud_controller.identity import find_workloads_without_identity
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, run_control_plane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers.git_server import GitServer
from rehearsal.kubernetes.controllers.manager import ControllerManager
from rehearsal.kubernetes.provider.declared_objects import list_declared
from rehearsal.kubernetes.provider.provider import KubernetesProvider
from rehearsal.kubernetes.readiness import (
    applications,
    capacity,
    custom_objects,
    monitors,
    network_flows,
    presence,
    services,
    workloads,
)
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.simulator.core.circumstances import Caller
from rehearsal.simulator.core.node_drain import NodeDrain
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.wiring.declared import read_graph
from rehearsal.wiring.metrics import Component

CONVERGENCE_TIMEOUT = 60  # seconds for pods to become Ready after an update; simulated ones take about two

# The cloud resources that are a cluster. If the state has none, the objects of a former cluster are deleted.
_CLUSTER_TYPES = ("azure-native:containerservice:ManagedCluster", "aws:eks/cluster:Cluster")

# The types of the secrets in a cloud's store, and the input with their name.
_SECRET_NAMES = {"azure-native:keyvault:Secret": "secretName", "aws:secretsmanager/secret:Secret": "name"}


@dataclass(frozen=True)
class ClusterReport:
    """The state of the cluster at the end of an update.

    version                  of the control plane: `v1.33.13`
    pods                     number of pods by phase
    capacity                 one line for each node pool: its requested and its allocatable resources
    notes                    what the simulated cloud did by itself, and which controllers are simulated
    served_kinds             the custom kinds that a real controller reconciles
    simulated_webhook_calls  number of reviews that were allowed on behalf of simulated pods, keyed by webhook
    unserved_objects         number of objects that only simulated pods would reconcile, keyed by custom kind
    problems                 what is not ready, why, and the remedy; also failures of the control plane itself
    """

    version: str
    pods: Mapping[str, int] = field(default_factory=dict)
    capacity: Sequence[str] = ()
    notes: Sequence[str] = ()
    served_kinds: Sequence[str] = ()
    simulated_webhook_calls: Mapping[str, int] = field(default_factory=dict)
    unserved_objects: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and the provider that the engine talks to."""

    plane: ControlPlane
    provider: KubernetesProvider
    drain: NodeDrain
    _cloud_controller: CloudController
    _controllers: ControllerManager
    _egress: EgressProxy
    _state: StateStore

    @property
    def git_server(self) -> GitServer:
        """The server of the git repositories on this machine that replace remote ones for controllers."""
        return self._controllers.git_server

    def locate_controller(self, name: str, namespace: str) -> int:
        """The port on this machine on which a real controller serves."""
        return self._controllers.locate(name, namespace)

    def report(
        self, state: str = "", caller: Caller | None = None, catalogue: Sequence[Component] = ()
    ) -> ClusterReport:
        """Report on the cluster once it has converged, or after CONVERGENCE_TIMEOUT.

        `state` is the engine's export, JSON: the objects that the program declares have to exist, and their order is
        checked for `caller`. `catalogue` lists the components and the metrics that they expose.
        """
        try:
            return self._report(state, caller or Caller(), catalogue)
        except ApiUnreachableError as error:
            return ClusterReport(self.plane.version, problems=[*self.plane.problems(), str(error)])

    def _report(self, state: str, caller: Caller, catalogue: Sequence[Component]) -> ClusterReport:
        api = self.plane.api
        self._cloud_controller.wait_until_converged(CONVERGENCE_TIMEOUT)
        served_kinds = self._controllers.served_kinds()
        unready = workloads.wait_until_stable(api, CONVERGENCE_TIMEOUT, served_kinds)
        declared = [*installed_objects.list_installed(api), *list_declared(state)]
        deviations = list(presence.find_deviations(api, declared))
        missing = [deviation.missing for deviation in deviations if deviation.missing]
        # Causes come first: an object that somebody deleted or edited is often why another is not ready.
        problems = [deviation.problem.message for deviation in deviations]
        problems += [problem.message for problem in unready]
        problems += [workload.message for workload in find_workloads_without_identity(api)]
        problems += [problem.message for problem in self._find_traffic_problems(missing)]
        # The other checks would report an object that is not ready, or was deleted by hand, a second time.
        if not problems:
            problems = [problem.message for problem in self._find_wiring_problems(state, caller, catalogue)]
        return ClusterReport(
            version=self.plane.version,
            # A plain mapping: dataclasses.asdict would use pairs as the keys of a Counter.
            pods=dict(Counter(pod.get("status", {}).get("phase", "Unknown") for pod in api.list("v1", "Pod"))),
            capacity=capacity.summarize_capacity(api),
            notes=[*self._cloud_controller.notes(), *self._controllers.notes(), *self._list_unchecked(served_kinds)],
            served_kinds=sorted(served_kinds),
            simulated_webhook_calls=self._egress.simulated_webhook_calls(),
            unserved_objects=custom_objects.count_unserved_objects(api, served_kinds),
            problems=[
                *self.plane.problems(),
                *self._cloud_controller.problems(),
                *self._controllers.problems(),
                *problems,
            ],
        )

    def _list_unchecked(self, served_kinds: Collection[str]) -> list[str]:
        """Notes on the parts of the cluster that could not be checked."""
        snapshot = Snapshot(self.plane.api)
        unreachable = applications.list_unreachable(snapshot) if applications.KIND in served_kinds else []
        return [*unreachable, *services.list_departed(snapshot)]

    def _find_traffic_problems(self, missing: Collection[Object]) -> list[Problem]:
        """Monitors without targets, and required connections that network policies block."""
        snapshot, network = Snapshot(self.plane.api), self._cloud_controller.network()
        blocked = network_flows.find_problems(snapshot, network) if network else []
        return [*monitors.find_problems(snapshot, missing), *blocked]

    def _find_wiring_problems(self, state: str, caller: Caller, catalogue: Sequence[Component]) -> list[Problem]:
        """References that do not lead to their intended target, and resources that do not wait for what they need."""
        graph = read_graph(state)
        wired = wiring.Wiring(wiring.StackResources(self._state, graph.stack), Snapshot(self.plane.api))
        return [*wiring.find_problems(wired, catalogue), *wiring.check_graph(graph, self._state, wired, caller)]


@contextmanager
def run_cluster(
    folder: Path, state: StateStore, programs: Mapping[str, Path], given_secrets: Collection[str] = ()
) -> Iterator[Cluster]:
    """Run a rehearsal's cluster while the context lasts. Its data stays in `folder`.

    `programs` are the programs of the real controllers. `given_secrets` names secrets in the cloud's store that are
    not in the state. Raises UserError if the control plane does not start.
    """
    if not any(record for type_ in _CLUSTER_TYPES for record in state.all(type_)):
        shutil.rmtree(folder, ignore_errors=True)
    egress = EgressProxy()
    with egress.run(), run_control_plane(folder, egress.path) as plane:
        egress.attach(plane)
        cloud_controller = CloudController(plane, state, egress)
        controllers = ControllerManager(plane, egress, programs, lambda: {*_list_secrets(state), *given_secrets})
        with cloud_controller.run(), controllers.run():
            provider = KubernetesProvider(plane, Releases(plane), state.append_to_journal)
            yield Cluster(plane, provider, ClusterDrain(plane.api), cloud_controller, controllers, egress, state)


def _list_secrets(state: StateStore) -> Collection[str]:
    """The names of the secrets in the simulated cloud's store."""
    return {str(record.inputs.get(name)) for type_, name in _SECRET_NAMES.items() for record in state.all(type_)}
