"""What a resource is charged for: quantities of priced items. The catalogue says which types have charges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from estimates.resources import Resource

HOURS = 730.0
"""Hours in a month, as in both clouds' calculators: 8,760 / 12."""
DAYS = HOURS / 24


@dataclass(frozen=True)
class Charge:
    """One part of a resource's cost.

    what      a word or two for people: `nodes`, `storage`
    item      the item of the price table
    quantity  units a month
    basis     how the quantity is computed, for people: `3 nodes x 730 h`
    """

    what: str
    item: str
    quantity: float
    basis: str


@dataclass(frozen=True)
class Stack:
    """All resources of a stack, and what it is assumed to use in a month.

    usage   assumptions that no resource states, keyed by name, such as `logsGb`
    charts  the objects that a release's chart renders, keyed by the URN of the release
    """

    resources: Sequence[Resource]
    usage: Mapping[str, float]
    charts: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def count(self, *types: str) -> int:
        return sum(resource.type in types for resource in self.resources)

    def share(self, assumption: str, *types: str) -> float:
        """An assumption about the whole stack, per resource of these types."""
        return self.usage[assumption] / max(self.count(*types), 1)

    def find(self, type_: str, name: str) -> Resource | None:
        return next((each for each in self.resources if each.type == type_ and each.name == name), None)


Charges: TypeAlias = Iterator[Charge]
Charger: TypeAlias = Callable[[Resource, Stack], Iterable[Charge]]


class Catalogue:
    """The functions that charge resources, keyed by type."""

    def __init__(self) -> None:
        self._chargers: dict[str, Charger] = {}

    def charges_for(self, *types: str) -> Callable[[Charger], Charger]:
        """Decorate the function that yields the charges of resources of these types."""

        def register(charger: Charger) -> Charger:
            self._chargers.update(dict.fromkeys(types, charger))
            return charger

        return register

    def find(self, type_: str) -> Charger | None:
        return self._chargers.get(type_)


CATALOGUE = Catalogue()


def hourly(what: str, item: str, hours: float = HOURS, count: float = 1) -> Charge:
    basis = f"{count:g} x {hours:g} h" if count != 1 else f"{hours:g} h"
    return Charge(what, item, hours * count, basis)


def monthly(what: str, item: str, count: float = 1) -> Charge:
    return Charge(what, item, count, f"{count:g} a month")


def volume(what: str, item: str, gigabytes: float) -> Charge:
    return Charge(what, item, gigabytes, f"{gigabytes:g} GB")
