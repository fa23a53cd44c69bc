"""Updates the tables of prices in place: each row keeps its form, and gets the list's price, source and day."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from estimates.prices import PRICES, Price, read_prices
from estimates.refresh import aws, azure
from estimates.refresh.http import PriceListError as PriceListError

_Find = Callable[[Price, str], tuple[float, str] | None]
_LISTS: dict[str, tuple[_Find, str]] = {
    "aws": (aws.find_price, aws.ADDRESS),
    "azure": (azure.find_price, azure.ADDRESS),
}
_LIST = "price-list"  # how a refreshed price was obtained


@dataclass(frozen=True)
class Refreshed:
    """The result for a table: how many prices were read again, which changed, and which the list does not have."""

    cloud: str
    read: int
    changed: tuple[str, ...]
    not_found: tuple[str, ...]

    def describe(self) -> str:
        changed = f"; changed: {', '.join(self.changed)}" if self.changed else "; none changed"
        left = f"; not found, and left as they are: {', '.join(self.not_found)}" if self.not_found else ""
        return f"{self.cloud}: {self.read} prices read{changed}{left}"


def refresh(cloud: str, folder: Path = PRICES, address: str = "", today: datetime.date | None = None) -> Refreshed:
    """Read the list of a cloud again and write its table.

    address  URL of the list; the cloud's own if empty

    Raises PriceListError if the list cannot be read; then nothing is written.
    """
    find, own_address = _LISTS[cloud]
    path = folder / f"{cloud}.yaml"
    prices = read_prices(path)
    found = [(price, find(price, address or own_address) if price.query else None) for price in prices]
    text, changed = path.read_text(), []
    for price, answer in found:
        if answer:
            usd, url = answer
            text = _rewrite_row(text, price, usd, url, today or datetime.datetime.now(datetime.UTC).date())
            if usd != price.usd:
                changed.append(f"{price.item} {price.usd:g} -> {usd:g}")
    path.write_text(text)
    return Refreshed(
        cloud,
        sum(answer is not None for _, answer in found),
        tuple(changed),
        tuple(price.item for price, answer in found if not answer),
    )


def _rewrite_row(text: str, price: Price, usd: float, url: str, day: datetime.date) -> str:
    """The table with new values in one row; comments and order stay."""
    amount = f"{usd:.10f}".rstrip("0").rstrip(".")
    row = re.compile(
        rf"(  - item: {re.escape(price.item)}\n    region: {re.escape(price.region)}\n    unit: .*\n)"
        r"    usd: .*\n    source: .*\n    checked: .*\n    how: .*\n"
    )
    values = f"    usd: {amount}\n    source: {url}\n    checked: {day.isoformat()}\n    how: {_LIST}\n"
    return row.sub(lambda match: match[1] + values, text)
