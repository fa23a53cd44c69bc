"""Whether each resource of a cloud waits for what it needs, judged by the graph and not by what happened to be quicker.

A dependency that is missing goes unnoticed as long as what is needed is created first by chance. So each resource is
judged as if only what it depends on existed: the rules of its model, and the references in its inputs, must still hold.
On Azure a role acts some minutes after it was assigned: it counts only where the resource also waits for time.
Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.simulator.clouds import create_simulations, find_cluster_refusal
from rehearsal.simulator.core.circumstances import Caller, Person
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.wiring import encryption_identities, log_destinations
from rehearsal.wiring.declared import Declared, Graph, WholeState
from rehearsal.wiring.graph import Wiring

_CLOUDS = ("aws", "azure-native")
_SLEEP = "time:index/sleep:Sleep"
# What acts only some time after it was created.
_LATE = ("azure-native:authorization:RoleAssignment", "aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
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
    waited: set[str] = set()
    for urn in before:
        found = graph.get(urn)
        if found is not None and found.type == _SLEEP:
            waited |= graph.list_before(urn)
    return {urn for urn in before if urn in waited or not _is_late(graph, urn)}


def _is_late(graph: Graph, urn: str) -> bool:
    found = graph.get(urn)
    return found is not None and found.type in _LATE


def _describe(declared: Declared, refusal: str) -> Problem:
    reason = f"it may be created before what it needs. What the cloud says then: {refusal}"
    return Problem(declared.label, reason, _REMEDY)
