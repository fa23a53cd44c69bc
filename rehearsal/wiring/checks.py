"""Runs all wiring rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.circumstances import Caller
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.wiring import (
    alarms,
    cluster_order,
    data_paths,
    encryption_identities,
    ignored_updates,
    images,
    key_grants,
    key_versions,
    log_destinations,
    maintenance,
    metrics,
    mounts,
    nodes,
    one_writer,
    order,
    pod_identities,
    private_names,
    providers,
    references,
    routes,
    secret_stores,
    training_jobs,
    volumes,
)
from rehearsal.wiring.declared import Graph
from rehearsal.wiring.graph import Rule, Wiring
from rehearsal.wiring.metrics import Component

RULES: Sequence[Rule] = (
    pod_identities.find_problems,
    data_paths.find_problems,
    key_grants.find_problems,
    encryption_identities.find_problems,
    key_versions.find_problems,
    images.find_problems,
    volumes.find_problems,
    mounts.find_problems,
    secret_stores.find_problems,
    private_names.find_problems,
    routes.find_problems,
    alarms.find_problems,
    log_destinations.find_problems,
    nodes.find_problems,
    training_jobs.find_problems,
    maintenance.find_problems,
    references.find_problems,
)


def find_problems(wiring: Wiring, catalogue: Sequence[Component] = ()) -> Iterator[Problem]:
    """Missing connections, by every rule. `catalogue` lists which components expose which metrics."""
    for rule in RULES:
        yield from rule(wiring)
    yield from metrics.find_problems(wiring, catalogue)


def check_graph(graph: Graph, state: StateStore, wiring: Wiring, caller: Caller) -> list[Problem]:
    """Resources that do not wait for what they need, or for each other, or do not use the stack's own provider.

    Updates that had no effect are reported too.
    """
    return [
        *order.find_problems(graph, state, wiring.cluster, caller),
        *one_writer.find_problems(graph, state),
        *ignored_updates.find_problems(graph, state),
        *cluster_order.find_problems(graph, wiring),
        *providers.find_problems(graph),
    ]
