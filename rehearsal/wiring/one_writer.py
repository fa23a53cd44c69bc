"""Checks that resources wait for each other if the cloud changes only one of them at a time.

The engine changes resources that do not depend on each other at the same time. Whether their changes overlap depends on
how long each takes, so a deployment without a dependency between them succeeds only sometimes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.clouds import find_one_writer
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.wiring.declared import Declared, Graph


def find_problems(graph: Graph, state: StateStore) -> Iterator[Problem]:
    """Pairs of resources of one parent that may be changed at the same time."""
    for (one, error), (other, _) in _list_pairs(graph, state):
        if one.urn not in graph.list_before(other.urn) and other.urn not in graph.list_before(one.urn):
            reason = f"it may be changed at the same time as {other.label}. The cloud's error is then: {error}"
            yield Problem(one.label, reason, "make one of them depend on the other")


_Member = tuple[Declared, str]
"""A resource, and the cloud's error about it."""


def _list_pairs(graph: Graph, state: StateStore) -> Iterator[tuple[_Member, _Member]]:
    groups: dict[str, list[_Member]] = defaultdict(list)
    for record in state.all():
        rule, declared = find_one_writer(record.type), graph.get(record.urn)
        if rule is not None and declared is not None:
            groups[rule.find_parent(record.id)].append((declared, rule.describe(record.id)))
    for group in groups.values():
        yield from combinations(group, 2)
