"""Reads prices of AWS from the bulk price list: an offer file per service and region.

Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from estimates.prices import Price
from estimates.refresh.http import PriceListError, read_json

ADDRESS = "https://pricing.us-east-1.amazonaws.com"
# Attributes of a product that a query may have in addition to the usage type.
_ATTRIBUTES = ("operation", "databaseEngine")


def find_price(price: Price, address: str = ADDRESS) -> tuple[float, str] | None:
    """US dollars per unit of the first paid tier, and the URL of the offer file; None if the file has no such price.

    Raises PriceListError.
    """
    query = price.query
    url = f"{address}/offers/v1.0/aws/{query['service']}/current/{price.region}/index.json"
    offer = _read_offer(url)
    products = offer.get("products")
    if not isinstance(products, Mapping) or "OnDemand" not in offer.get("terms", {}):
        raise PriceListError(f"the price list {url} has no products with terms, as documented")
    found = {
        usd
        for sku, product in products.items()
        if _matches(product.get("attributes", {}), query)
        for usd in _list_first_prices(offer["terms"]["OnDemand"].get(sku, {}))
    }
    return (found.pop(), url) if len(found) == 1 else None


@cache
def _cache_folder() -> tempfile.TemporaryDirectory[str]:
    """The folder of offer files that were read. EC2's has hundreds of megabytes, so each is read once."""
    return tempfile.TemporaryDirectory(prefix="groundwork-prices-")


def _read_offer(url: str) -> dict[str, Any]:
    return read_json(url, Path(_cache_folder().name) / url.replace("/", "+"))


def _matches(attributes: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    if attributes.get("usagetype") != query["usageType"]:
        return False
    return all(attributes.get(name) == query[name] for name in _ATTRIBUTES if name in query)


def _list_first_prices(terms: Mapping[str, Any]) -> Iterator[float]:
    """The price of the first paid tier: free tiers belong to an account, not to a stack."""
    for term in terms.values():
        tiers = sorted(term["priceDimensions"].values(), key=lambda tier: float(tier.get("beginRange", 0)))
        paid = [float(tier["pricePerUnit"]["USD"]) for tier in tiers if float(tier["pricePerUnit"].get("USD", 0))]
        yield from paid[:1]
