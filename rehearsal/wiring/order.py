"""Checks that each cloud resource waits for what it needs, by the graph and not by the order of one deployment.

A missing dependency goes unnoticed as long as the needed resource happens to be created first. Each resource is
therefore evaluated as if only its dependencies existed: the rules of its model and the references in its inputs must
still hold. A grant takes effect some minutes after its creation, so it counts only if the resource also waits for a
pause of that length.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import EmptySnapshot, Snapshot
from rehearsal.simulator.clouds import create_simulations, find_cluster_refusal
from rehearsal.simulator.core.circumstances import Caller, Person
from rehearsal.simulator.core.resource_model import Resource, StateReader
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.late_grants import PAUSE, find_delay, get_length
from rehearsal.wiring import encryption_identities, log_destinations
from rehearsal.wiring.declared import Declared, Graph, WholeState
from rehearsal.wiring.graph import Wiring

_CLOUDS = ("aws", "azure-native")
# Rules about what a resource uses as soon as it exists.
_CHECKS = (encryption_identities, log_destinations)
_REMEDY = "make it depend on what the message names"


def find_problems(graph: Graph, state: StateStore, cluster: Snapshot, caller: Caller) -> Iterator[Problem]:
    """Resources that may be created before something that they need."""
    records = {record.urn: record for record in state.all() if record.urn}
    whole, simulations = WholeState(state), _configure(graph, state)
    for declared in graph:
        before = _list_acting(graph, declared)
        if declared.package in _CLOUDS and (record := records.get(declared.urn)):
            part = whole.select(before)
            refusals = simulations[declared.package].find_refusals(record, part)
            yield from (_describe(declared, refusal) for refusal in refusals)
            for check in _CHECKS:
                found = check.check_resource(Wiring(part, cluster), record)
                yield from (_describe(declared, problem.reason) for problem in found)
        # Only the first operator needs a grant from this stack; others have access independently of it.
        elif declared.type == "pulumi:providers:kubernetes" and caller.person is Person.DEPLOYER:
            refusal = find_cluster_refusal(whole.select(before), caller)
            if refusal:
                yield _describe(declared, refusal)


def find_early_uses(effective: StateReader, resource: Resource) -> Iterator[str]:
    """What a resource uses as soon as it exists, but may not use with the grants in effect at that time."""
    for check in _CHECKS:
        problems = check.check_resource(Wiring(effective, EmptySnapshot()), resource)
        yield from (f"{problem.workload}: {problem.reason}" for problem in problems)


def _configure(graph: Graph, state: StateStore) -> Mapping[str, Simulation]:
    simulations = create_simulations(state)
    for declared in graph:
        package = declared.type.removeprefix("pulumi:providers:")
        if package in _CLOUDS and package != declared.type:
            simulations[package].configure(declared.inputs)
    return simulations


def _list_acting(graph: Graph, declared: Declared) -> Collection[str]:
    """URNs of the resources that exist, and of the grants in effect, when a resource is created."""
    before = graph.list_before(declared.urn)
    found = [each for each in map(graph.get, before) if each is not None]
    pauses = [each for each in found if each.type == PAUSE]
    late = {each.urn for each in found if _is_late(graph, each, pauses)}
    return before - late


def _is_late(graph: Graph, declared: Declared, pauses: Iterable[Declared]) -> bool:
    """Whether a resource is a grant that may not be in effect yet, since none of the pauses is long enough."""
    delay = find_delay(declared.type, declared.inputs)
    if delay is None:
        return False
    enough = (pause for pause in pauses if get_length(pause.inputs) >= delay)
    return not any(declared.urn in graph.list_before(pause.urn) for pause in enough)


def _describe(declared: Declared, refusal: str) -> Problem:
    reason = f"it may be created before what it needs. The cloud's error is then: {refusal}"
    return Problem(declared.label, reason, _REMEDY)
