"""The monthly cost of a stack: pure arithmetic over a list of resources, a table of prices and assumptions."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from estimates import catalogue as catalogue  # fills CATALOGUE
from estimates.charges import CATALOGUE, Charge, Stack
from estimates.free_types import find_free
from estimates.prices import Price, PriceTable
from estimates.resources import Resource, find_group, find_region


class UsageError(ValueError):
    """An assumption that a charge needs is not set."""


@dataclass(frozen=True)
class Item:
    """One part of a resource's cost: a charge and its price."""

    charge: Charge
    price: Price

    @property
    def usd(self) -> float:
        return self.charge.quantity * self.price.usd


@dataclass(frozen=True)
class Row:
    """What a resource costs in a month, as far as its prices are known."""

    urn: str
    type: str
    group: str
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def usd(self) -> float:
        return sum(item.usd for item in self.items)

    @property
    def basis(self) -> str:
        return ", ".join(f"{item.charge.what}: {item.charge.basis} at {item.price.usd:g}" for item in self.items)


@dataclass(frozen=True)
class Missing:
    """A part of a resource's cost that is not in the total, because the table has no price for it."""

    urn: str
    what: str
    reason: str


@dataclass(frozen=True)
class Free:
    """A resource that costs nothing by itself."""

    urn: str
    type: str
    source: str


@dataclass(frozen=True)
class Estimate:
    """
    region   region of the stack
    rows     resources with a cost, the most expensive first
    missing  parts of resources that have no price: the total is at least what it says
    free     resources that cost nothing
    unknown  URN and type of resources that are listed neither as charged nor as free
    checked  the day of the oldest price; None if there are no prices
    """

    region: str
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...]
    free: tuple[Free, ...]
    unknown: tuple[tuple[str, str], ...]
    checked: datetime.date | None

    @property
    def total_usd(self) -> float:
        return sum(row.usd for row in self.rows)

    @property
    def is_complete(self) -> bool:
        return not self.missing and not self.unknown

    def by_group(self) -> dict[str, float]:
        """US dollars, keyed by part of the stack, the most expensive first."""
        totals: dict[str, float] = {}
        for row in self.rows:
            totals[row.group] = totals.get(row.group, 0.0) + row.usd
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:
        return {
            "region": self.region,
            "currency": "USD",
            "pricesChecked": self.checked.isoformat() if self.checked else None,
            "totalUsd": round(self.total_usd, 2),
            "isComplete": self.is_complete,
            "groups": [{"group": group, "usd": round(usd, 2)} for group, usd in self.by_group().items()],
            "rows": [_dump_row(row) for row in self.rows],
            "missing": [{"urn": each.urn, "what": each.what, "reason": each.reason} for each in self.missing],
            "unknown": [{"urn": urn, "type": type_} for urn, type_ in self.unknown],
            "free": [{"urn": each.urn, "type": each.type, "source": each.source} for each in self.free],
        }


def monthly_cost(
    resources: Sequence[Resource],
    prices: PriceTable,
    usage: Mapping[str, float],
    charts: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
) -> Estimate:
    """What the resources of a stack cost in a month.

    usage   assumptions, keyed by name; the project that sets them documents their meaning
    charts  the objects that charts render, keyed by the URN of their release: their volumes are charged, too

    Raises UsageError if an assumption is missing that a charge needs.
    """
    stack = Stack(resources, usage, charts)
    by_urn = {resource.urn: resource for resource in resources}
    region = find_region(resources)
    rows, missing, free, unknown = [], [], [], []
    for resource in resources:
        if resource.is_component:
            continue
        charges = list(_list_charges(resource, stack))
        if charges:
            items = [(charge, prices.find(charge.item, region)) for charge in charges]
            priced = tuple(Item(charge, price) for charge, price in items if price)
            if priced:
                rows.append(Row(resource.urn, resource.type, find_group(resource, by_urn), priced))
            missing += [
                Missing(resource.urn, charge.what, f"no price of {charge.item} in {region or 'an unknown region'}")
                for charge, price in items
                if not price
            ]
        elif CATALOGUE.find(resource.type):
            free.append(Free(resource.urn, resource.type, "nothing of it is charged as it is configured"))
        elif reason := find_free(resource.type):
            free.append(Free(resource.urn, resource.type, reason.source))
        else:
            unknown.append((resource.urn, resource.type))
    rows.sort(key=lambda row: -row.usd)
    return Estimate(region, tuple(rows), tuple(missing), tuple(free), tuple(unknown), prices.oldest(region))


def _list_charges(resource: Resource, stack: Stack) -> Iterator[Charge]:
    charger = CATALOGUE.find(resource.type)
    if charger is None:
        return
    try:
        yield from (charge for charge in charger(resource, stack) if charge.quantity)
    except KeyError as error:
        raise UsageError(f"{resource.type} is charged by {error}, and no such assumption is set.") from None


@dataclass(frozen=True)
class Change:
    """A resource whose cost differs. The cost is 0 if the resource does not exist."""

    urn: str
    group: str
    before_usd: float
    after_usd: float

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True)
class Difference:
    """What changes from one estimate to another, the largest change first."""

    changes: tuple[Change, ...]
    total_usd: float

    def to_json(self) -> dict[str, Any]:
        rows = [
            {
                "urn": change.urn,
                "name": change.name,
                "group": change.group,
                "beforeUsd": round(change.before_usd, 2),
                "afterUsd": round(change.after_usd, 2),
            }
            for change in self.changes
        ]
        return {"totalUsd": round(self.total_usd, 2), "rows": rows}


def compare(before: Estimate, after: Estimate) -> Difference:
    """Compare two estimates. Resources with equal type and name are the same, so stacks can be compared, too."""
    old, new = {_key(row): row for row in before.rows}, {_key(row): row for row in after.rows}
    changes = []
    for key in dict.fromkeys((*old, *new)):
        was, becomes = old.get(key), new.get(key)
        usd = (was.usd if was else 0.0, becomes.usd if becomes else 0.0)
        row = becomes or was
        if row and round(usd[1] - usd[0], 2):
            changes.append(Change(row.urn, row.group, *usd))
    changes.sort(key=lambda change: -abs(change.after_usd - change.before_usd))
    return Difference(tuple(changes), after.total_usd - before.total_usd)


def _key(row: Row) -> tuple[str, str]:
    return row.type, row.name


def _dump_row(row: Row) -> dict[str, Any]:
    items = [
        {
            "what": item.charge.what,
            "quantity": item.charge.quantity,
            "unit": item.price.unit,
            "unitUsd": item.price.usd,
            "usd": round(item.usd, 2),
            "basis": item.charge.basis,
            "source": item.price.source,
            "checked": item.price.checked.isoformat(),
        }
        for item in row.items
    ]
    known = {"urn": row.urn, "type": row.type, "name": row.name, "group": row.group}
    return {**known, "usd": round(row.usd, 2), "basis": row.basis, "items": items}
