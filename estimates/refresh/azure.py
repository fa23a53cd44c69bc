"""Reads prices of Azure from the Retail Prices API.

Source: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from estimates.prices import Price
from estimates.refresh.http import PriceListError, read_json

ADDRESS = "https://prices.azure.com"
_PATH = "/api/retail/prices?$filter="
_MAXIMUM_PAGES = 50
# The fields of an item that a query may have in addition to `excluding` and `anyRegion`.
_FIELDS = ("serviceName", "productName", "skuName", "meterName", "armSkuName")


def find_price(price: Price, address: str = ADDRESS) -> tuple[float, str] | None:
    """US dollars per unit and the URL that has them; None unless the list has exactly one. Raises PriceListError."""
    query = price.query
    conditions = {field: str(query[field]) for field in _FIELDS if field in query}
    if not query.get("anyRegion"):
        conditions["armRegionName"] = price.region
    terms = [f"{field} eq '{value}'" for field, value in {**conditions, "priceType": "Consumption"}.items()]
    url = address + _PATH + quote(" and ".join(terms), safe="='")
    tier = float(query.get("tierMinimumUnits", 0))
    found = {
        float(item["retailPrice"])
        for item in _list_items(url)
        if float(item.get("tierMinimumUnits", 0)) == tier and not _is_excluded(item, query)
    }
    return (found.pop(), url) if len(found) == 1 and min(found) > 0 else None


def _is_excluded(item: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    names = f"{item.get('productName')} {item.get('skuName')} {item.get('meterName')}"
    return any(word in names for word in query.get("excluding", ())) or item.get("type") not in (None, "Consumption")


def _list_items(url: str) -> Iterator[Mapping[str, Any]]:
    """The items of all pages. They have `retailPrice` in US dollars unless another currency is requested."""
    for _ in range(_MAXIMUM_PAGES):
        page = read_json(url)
        if page.get("BillingCurrency", "USD") != "USD" or "Items" not in page:
            raise PriceListError(f"the price list {url} has no items in US dollars")
        yield from page["Items"]
        url = page.get("NextPageLink") or ""
        if not url:
            return
