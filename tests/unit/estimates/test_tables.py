"""The tables of prices, durations, free types and discounts: every row has a source and a day.

Not proven: that a source still says what a row says; `make prices` reads the clouds' lists again.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from estimates import PriceTableError, load_durations, load_prices
from estimates.prices import PRICES, read_prices

ROW: dict[str, Any] = {
    "item": "a",
    "region": "here",
    "unit": "hour",
    "usd": 1,
    "source": "https://example.com",
    "checked": datetime.date(2026, 11, 30),
    "how": "by hand",
}


def test_every_price_has_a_source_a_day_and_a_way_to_find_it_again() -> None:
    prices = list(load_prices())
    assert len(prices) > 90
    for price in prices:
        assert price.source.startswith("https://")
        assert datetime.date(2026, 1, 1) < price.checked <= datetime.date(2026, 11, 30)
        assert price.query, price.item


def test_the_head_of_a_table_explains_how_each_price_was_obtained() -> None:
    for path in PRICES.glob("*.yaml"):
        head = path.read_text().partition("currency:")[0]
        missing = {price.how for price in read_prices(path) if f"#   {price.how} " not in head}
        assert missing == set(), path.name


def test_prices_are_unique() -> None:
    rows = [(price.item, price.region) for path in PRICES.glob("*.yaml") for price in read_prices(path)]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"usd": 0}, "is not a price"),
        ({"usd": "cheap"}, "is not a price"),
        ({"source": "somewhere"}, "`source` a URL"),
        ({"checked": "yesterday"}, "has to be a day"),
        ({"source": None}, "`source` a URL"),
    ],
)
def test_a_row_that_is_not_a_sourced_price_is_rejected(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({"currency": "USD", "prices": [{**ROW, **change}]}))
    with pytest.raises(PriceTableError, match=message):
        load_prices(tmp_path)


@pytest.mark.parametrize("missing", ["source", "checked", "unit"])
def test_a_row_without_source_day_or_unit_is_rejected(tmp_path: Path, missing: str) -> None:
    row = {key: value for key, value in ROW.items() if key != missing}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({"currency": "USD", "prices": [row]}))
    with pytest.raises(PriceTableError, match=f"{missing} missing"):
        load_prices(tmp_path)


def test_a_table_in_another_currency_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("currency: EUR\nprices: []\n")
    with pytest.raises(PriceTableError, match="currency: USD"):
        load_prices(tmp_path)


def test_every_duration_has_a_source_and_its_basis() -> None:
    for duration in load_durations().durations:
        assert duration.source.startswith("https://")
        assert duration.how in {"logs", "like", "api", "declared", "documented"}
        assert duration.origin or duration.how in {"api", "declared"}, duration.subject
        assert duration.checked == datetime.date(2026, 11, 30)


def test_medians_match_the_logs_that_a_row_lists() -> None:
    nat = load_durations().find("aws:ec2/natGateway:NatGateway")
    assert nat is not None
    assert nat.seconds == (105 + 107) / 2  # the median of 85 88 94 105 107 114 124 125
    cluster = load_durations().find("azure-native:containerservice:ManagedCluster")
    assert cluster is not None
    assert cluster.seconds == pytest.approx((285 + 450) / 2, abs=1)  # the median of 219 229 258 285 450 504 900 923
