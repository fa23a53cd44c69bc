"""Checks that no update of a resource was without effect, because the cloud never changes what exists.

The engine believes that such an update succeeded. Every later refresh finds the difference, and no deployment ends it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.clouds import is_never_updated
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.wiring.declared import Graph


def find_problems(graph: Graph, state: StateStore) -> Iterator[Problem]:
    """Resources that differ in the cloud from what was deployed."""
    for record in state.all():
        declared = graph.get(record.urn)
        if declared is None or not is_never_updated(record.type):
            continue
        changed = [
            name
            for name, value in declared.inputs.items()
            if not name.startswith("__") and value != record.inputs.get(name)
        ]
        if changed:
            reason = f"the cloud has not changed its {', '.join(sorted(changed))}: it never updates this type"
            remedy = f"pass ignore_changes={sorted(changed)!r}, and change it as docs/operations.md says"
            yield Problem(declared.label, reason, remedy)
