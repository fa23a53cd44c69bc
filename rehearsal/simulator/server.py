"""Serves the simulated clouds, each on its own local port."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from rehearsal.console import UserError
from rehearsal.simulator.clouds import create_simulations, find_cluster_refusal
from rehearsal.simulator.cluster_gate import ClusterGate
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.circumstances import USUAL, Circumstances
from rehearsal.simulator.core.node_drain import NO_CLUSTER, NodeDrain
from rehearsal.simulator.core.provider import Provider
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.late_grants import EffectiveState, UseCheck

Servicer = provider_pb2_grpc.ResourceProviderServicer

HOST = "127.0.0.1"
_WORKERS = 32  # many wait at the same time: for pods to become ready, for deletions to finish
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # binding a port that is taken must fail
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


@contextmanager
def serve_clouds(
    state: StateStore,
    port: int = 0,
    kubernetes: Servicer | None = None,
    drain: NodeDrain = NO_CLUSTER,
    circumstances: Circumstances = USUAL,
    *,
    renders_charts: bool = True,
    canaries: Canaries | None = None,
    check_use: UseCheck = lambda _state, _resource: (),
) -> Iterator[str]:
    """Serve the clouds of one rehearsal; yields the value of PULUMI_DEBUG_PROVIDERS.

    `kubernetes` is the provider of a real control plane, and `drain` its nodes; without them Kubernetes objects are
    checked offline, and charts rendered unless `renders_charts` is false. `canaries` collects the secrets that they
    generate; `check_use` is as in `create_simulations`. The clouds listen on consecutive ports that start at `port`, or
    on free ones if it is 0. Raises UserError if a port is taken.
    """
    simulations = create_simulations(
        state, drain, circumstances, renders_charts=renders_charts, canaries=canaries, check_use=check_use
    )
    effective = EffectiveState(state) if circumstances.has_slow_grants else state
    providers: dict[str, Servicer] = {name: Provider(simulation) for name, simulation in simulations.items()}
    objects = providers["kubernetes"] if kubernetes is None else kubernetes
    providers["kubernetes"] = ClusterGate(objects, lambda: find_cluster_refusal(effective, circumstances.caller))
    with ExitStack() as servers:
        addresses = []
        for index, (package, provider) in enumerate(providers.items()):
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=_WORKERS), options=_OPTIONS)
            provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
            addresses.append(f"{package}:{_bind(server, port and port + index)}")
            server.start()
            servers.callback(lambda started: started.stop(grace=1).wait(), server)
        yield ",".join(addresses)


def _bind(server: grpc.Server, port: int) -> int:
    try:
        return int(server.add_insecure_port(f"{HOST}:{port}"))
    except RuntimeError:
        raise UserError(
            f"Port {port} on {HOST} is in use by another process. Choose another one with PORT=..., or leave PORT out "
            "to use a free one."
        ) from None
