"""The resources that a program declares, as the dependency graph that the engine creates them by."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.simulator.core.resource_model import Resource, StateReader
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore


@dataclass(frozen=True)
class Declared:
    """One resource.

    needs         URNs of the resources created before it: its dependencies, its parent and its provider
    provider      URN of its provider; empty for Pulumi's default
    is_protected  whether the engine refuses to delete it
    """

    urn: str
    type: str
    inputs: Mapping[str, Any]
    needs: Collection[str] = ()
    provider: str = ""
    is_protected: bool = False

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]

    @property
    def package(self) -> str:
        return self.type.split(":", 1)[0]

    @property
    def label(self) -> str:
        """For messages: `Bucket artifacts`."""
        return f"{self.type.rpartition(':')[2]} {self.name}"


class Graph:
    """Resources, keyed by URN, and the resources that exist before each."""

    def __init__(self, resources: Iterable[Declared]) -> None:
        self._resources = {resource.urn: resource for resource in resources}
        self._before: dict[str, frozenset[str]] = {}

    @property
    def stack(self) -> str:
        """The stack's name, from the resources' URNs; empty if there are none."""
        return next((urn.split(":")[2] for urn in self._resources), "")

    def __iter__(self) -> Iterator[Declared]:
        return iter(self._resources.values())

    def get(self, urn: str) -> Declared | None:
        return self._resources.get(urn)

    def list_before(self, urn: str) -> frozenset[str]:
        """URNs of all resources that exist before this one, since it depends on them directly or indirectly."""
        if urn not in self._before:
            found: set[str] = set()
            remaining = [urn]
            while remaining:
                resource = self._resources.get(remaining.pop())
                new = set(resource.needs) - found if resource else set()
                found |= new
                remaining += new
            self._before[urn] = frozenset(found)
        return self._before[urn]


def read_graph(state: str) -> Graph:
    """The graph in the engine's export, which is JSON; an empty graph for an empty text."""
    resources = json.loads(state)["deployment"].get("resources", []) if state else []
    return Graph(_read(resource) for resource in resources if not resource.get("delete"))


def _read(resource: Mapping[str, Any]) -> Declared:
    provider = str(resource.get("provider") or "").rpartition("::")[0]
    needs = [*(resource.get("dependencies") or ()), *filter(None, (resource.get("parent"), provider))]
    own = provider if "::default" not in provider else ""
    inputs, protect = resource.get("inputs") or {}, bool(resource.get("protect"))
    return Declared(str(resource["urn"]), str(resource["type"]), inputs, needs, own, protect)


class WholeState:
    """All records of a state, from which parts can be selected."""

    def __init__(self, state: StateStore) -> None:
        self.by_type: dict[str, list[ResourceRecord]] = defaultdict(list)
        self.by_reference: dict[str, list[ResourceRecord]] = defaultdict(list)
        for record in state.all():
            self.by_type[record.type].append(record)
            for reference in {record.id, str(record.outputs.get("arn", record.id))}:
                self.by_reference[_normalize(reference)].append(record)

    def select(self, urns: Collection[str]) -> StateReader:
        """The part that exists when only these resources have been created."""
        return _PartOfState(self, urns)


class _PartOfState:
    """A state with some of its resources. Those that services create themselves have no URN, and always exist."""

    def __init__(self, whole: WholeState, urns: Collection[str]) -> None:
        self._whole = whole
        self._urns = urns

    def find(self, reference: str) -> Resource | None:
        found = self._whole.by_reference.get(_normalize(reference), ())
        return next((record for record in found if self._includes(record)), None)

    def all(self, type_: str) -> Iterable[Resource]:
        return [record for record in self._whole.by_type.get(type_, ()) if self._includes(record)]

    def _includes(self, record: ResourceRecord) -> bool:
        return not record.urn or record.urn in self._urns


def _normalize(reference: str) -> str:
    """Azure's IDs are not case-sensitive."""
    return reference.lower() if reference.startswith("/") else reference
