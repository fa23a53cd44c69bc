"""Two stacks of a project in one simulated account."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from rehearsal.console import UserError
from rehearsal.session import Rehearsal
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore

# Types that are not in an account: the cluster's objects, random values, pauses.
_ELSEWHERE = ("kubernetes:", "random:", "time:")
# A rehearsal has one cluster, which it finds by its type: clusters of another stack are compared only by their IDs.
_CLUSTERS = (
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "azure-native:containerservice:AgentPool",
    "azure-native:containerservice:ManagedCluster",
)


def find_neighbour(rehearsal: Rehearsal) -> str:
    """The next stack of the project that can be in the same account. Raises UserError if there is none."""
    project, setting = rehearsal.project, rehearsal.project.scenarios.account
    names = project.stack_names
    start = names.index(rehearsal.stack) + 1
    for name in [*names[start:], *names[: start - 1]]:
        if _read_setting(rehearsal, name, setting) == _read_setting(rehearsal, rehearsal.stack, setting):
            return name
    raise UserError(f"No other stack of the project has the same value of '{setting}' as {rehearsal.stack}.")


def share_account(first: Rehearsal, second: Rehearsal) -> None:
    """Fill the account of a rehearsal that has never run with the resources in that of another one."""
    second.folder.mkdir(mode=0o700, parents=True)
    with closing(StateStore(first.files.state)) as source, closing(StateStore(second.files.state)) as target:
        copy_account(source, target)


def copy_account(source: StateStore, target: StateStore) -> None:
    """Copy the resources of an account that another stack in it would find, all but those of its cluster."""
    for record in _list_account(source):
        if record.type not in _CLUSTERS:
            target.put(record)


def list_collisions(first: Rehearsal, second: Rehearsal) -> list[str]:
    """Resources that two stacks in one account have in common, or that one of them has changed or deleted."""
    mine = {(each.type, each.id): each for each in _read_account(first)}
    theirs = {(each.type, each.id): each for each in _read_account(second)}
    changed = [key for key, each in mine.items() if key[0] not in _CLUSTERS and theirs.get(key) != each]
    same = [key for key in mine if key[0] in _CLUSTERS and key in theirs]
    return [f"{type_.rpartition(':')[2]} {id_}" for type_, id_ in [*changed, *same]]


def _read_account(rehearsal: Rehearsal) -> Iterable[ResourceRecord]:
    with closing(StateStore(rehearsal.files.state)) as state:
        return _list_account(state)


def _list_account(state: StateStore) -> list[ResourceRecord]:
    return [record for record in state.all() if not record.type.startswith(_ELSEWHERE)]


def _read_setting(rehearsal: Rehearsal, stack: str, setting: str) -> str | None:
    project = rehearsal.project
    return project.read_stack_file(stack).values.get(f"{project.name}:{setting}") if setting else ""
