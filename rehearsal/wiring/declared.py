"""What a program declares, as the graph by which the engine creates it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.simulator.core.resource_model import Resource, StateReader


@dataclass(frozen=True)
class Declared:
    """One resource.

    needs         URNs of what exists before it: its dependencies, its parent and its provider
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
    """Resources by URN, and what exists before each."""

    def __init__(self, resources: Iterable[Declared]) -> None:
        self._resources = {resource.urn: resource for resource in resources}
        self._before: dict[str, frozenset[str]] = {}

    def __iter__(self) -> Iterator[Declared]:
        return iter(self._resources.values())

    def get(self, urn: str) -> Declared | None:
        return self._resources.get(urn)

    def list_before(self, urn: str) -> frozenset[str]:
        """URNs of all that exists before a resource, because it depends on it in the end."""
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
    """The graph in the engine's export, JSON; empty for the empty text."""
    resources = json.loads(state)["deployment"].get("resources", []) if state else []
    return Graph(_read(resource) for resource in resources if not resource.get("delete"))


def _read(resource: Mapping[str, Any]) -> Declared:
    provider = str(resource.get("provider") or "").rpartition("::")[0]
    needs = [*(resource.get("dependencies") or ()), *filter(None, (resource.get("parent"), provider))]
    own = provider if "::default" not in provider else ""
    inputs, protect = resource.get("inputs") or {}, bool(resource.get("protect"))
    return Declared(str(resource["urn"]), str(resource["type"]), inputs, needs, own, protect)


class PartOfState:
    """What of a state exists when only some resources have been created.

    What services make themselves has no URN, and is always there.
    """

    def __init__(self, state: StateReader, urns: Collection[str]) -> None:
        self._state = state
        self._urns = urns

    def find(self, reference: str) -> Resource | None:
        found = self._state.find(reference)
        return found if found is not None and self._includes(found) else None

    def all(self, type_: str) -> Iterable[Resource]:
        return [found for found in self._state.all(type_) if self._includes(found)]

    def _includes(self, found: Resource) -> bool:
        urn = str(getattr(found, "urn", ""))
        return not urn or urn in self._urns
