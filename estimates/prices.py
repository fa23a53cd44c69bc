"""The table of prices: what one unit costs in a region, who publishes it, and when it was read."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PRICES = Path(__file__).with_name("prices")
_REQUIRED = ("item", "region", "unit", "usd", "source", "checked", "how")


class PriceTableError(ValueError):
    """A file of prices that cannot be used; the message names file, row and rule."""


@dataclass(frozen=True)
class Price:
    """What one unit of an item costs.

    usd      US dollars per unit, without tax, discounts and free allowances
    source   URL of the page or list that has the price
    checked  the day on which the source had it
    how      how the price was obtained; the head of the file explains the words
    query    the query that finds it in the cloud's public list; empty if none does
    """

    item: str
    region: str
    unit: str
    usd: float
    source: str
    checked: datetime.date
    how: str
    query: Mapping[str, Any] = field(default_factory=dict)


class PriceTable:
    """Prices, keyed by item and region."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = {(price.item, price.region): price for price in prices}

    def __iter__(self) -> Any:
        return iter(self._prices.values())

    def find(self, item: str, region: str) -> Price | None:
        """The price of an item in a region, or None; another region's price is never used instead."""
        return self._prices.get((item, region))

    def oldest(self, region: str) -> datetime.date | None:
        """The day of a region's oldest price; None if it has no prices."""
        return min((price.checked for price in self._prices.values() if price.region == region), default=None)


def load_prices(folder: Path = PRICES) -> PriceTable:
    """The tables of a folder, one file per cloud. Raises PriceTableError with what is wrong in one."""
    return PriceTable(price for path in sorted(folder.glob("*.yaml")) for price in read_prices(path))


def read_prices(path: Path) -> list[Price]:
    """The prices in a file. Raises PriceTableError."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PriceTableError(f"{path} cannot be read: {error}") from None
    rows = content.get("prices") if isinstance(content, Mapping) else None
    if not isinstance(rows, list) or content.get("currency") != "USD":
        raise PriceTableError(f"{path} needs `currency: USD` and a list of `prices`.")
    return [_read_row(path, row) for row in rows]


def _read_row(path: Path, row: Any) -> Price:
    place = f"{path.name}, {row.get('item', 'a row without item') if isinstance(row, Mapping) else row!r}"
    missing = [key for key in _REQUIRED if not isinstance(row, Mapping) or key not in row]
    if missing:
        raise PriceTableError(
            f"{place}: {', '.join(missing)} missing. Each price needs a source and the day it was read."
        )
    if not isinstance(row["usd"], int | float) or row["usd"] <= 0:
        raise PriceTableError(f"{place}: usd = {row['usd']!r} is not a price. Leave out a price that is not known.")
    if not isinstance(row["checked"], datetime.date) or not str(row["source"]).startswith(("https://", "http://")):
        raise PriceTableError(f"{place}: `checked` has to be a day such as 2026-11-30, and `source` a URL.")
    return Price(**{key: row[key] for key in _REQUIRED}, query=row.get("query") or {})
