"""Whether each resource of a cloud waits for what it needs, judged by the graph and not by what happened to be quicker.

A dependency that is missing goes unnoticed as long as what is needed is created first by chance. So each resource is
judged as if only what it depends on existed: the rules of its model, and the references in its inputs, must still hold.
A grant acts some minutes after it was created: it counts only where a resource also waits for a pause as long as that.
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
# What is used as soon as the resource exists.
_CHECKS = (encryption_identities, log_destinations)
_REMEDY = "let it depend on what the message names"


def find_problems(graph: Graph, state: StateStore, cluster: Snapshot, caller: Caller) -> Iterator[Problem]:
    """What is created before something that it needs."""
    records = {record.urn: record for record in state.all() if record.urn}
    whole, simulations = WholeState(state), _configure(graph, state)
    for declared in graph:
        before = _list_acting(graph, declared)
        if declared.package in _CLOUDS and (record := records.get(declared.urn)):
            part = whole.take(before)
            refusals = simulations[declared.package].find_refusals(record, part)
            yield from (_describe(declared, refusal) for refusal in refusals)
            for check in _CHECKS:
                found = check.check_resource(Wiring(part, cluster), record)
                yield from (_describe(declared, problem.reason) for problem in found)
        # Others than the first person have access by what need not exist before.
        elif declared.type == "pulumi:providers:kubernetes" and caller.person is Person.DEPLOYER:
            refusal = find_cluster_refusal(whole.take(before), caller)
            if refusal:
                yield _describe(declared, refusal)


def find_early_uses(acting: StateReader, resource: Resource) -> Iterator[str]:
    """What a resource uses as soon as it exists, and may not with what acts then."""
    for check in _CHECKS:
        problems = check.check_resource(Wiring(acting, EmptySnapshot()), resource)
        yield from (f"{problem.workload}: {problem.reason}" for problem in problems)


def _configure(graph: Graph, state: StateStore) -> Mapping[str, Simulation]:
    simulations = create_simulations(state)
    for declared in graph:
        package = declared.type.removeprefix("pulumi:providers:")
        if package in _CLOUDS and package != declared.type:
            simulations[package].configure(declared.inputs)
    return simulations


def _list_acting(graph: Graph, declared: Declared) -> Collection[str]:
    """What exists and acts when a resource is created."""
    before = graph.list_before(declared.urn)
    found = [each for each in map(graph.get, before) if each is not None]
    pauses = [each for each in found if each.type == PAUSE]
    late = {each.urn for each in found if _is_late(graph, each, pauses)}
    return before - late


def _is_late(graph: Graph, declared: Declared, pauses: Iterable[Declared]) -> bool:
    """Whether it is a grant that none of some pauses waits for as long as it may take."""
    delay = find_delay(declared.type, declared.inputs)
    if delay is None:
        return False
    enough = (pause for pause in pauses if get_length(pause.inputs) >= delay)
    return not any(declared.urn in graph.list_before(pause.urn) for pause in enough)


def _describe(declared: Declared, refusal: str) -> Problem:
    reason = f"it may be created before what it needs. What the cloud says then: {refusal}"
    return Problem(declared.label, reason, _REMEDY)
