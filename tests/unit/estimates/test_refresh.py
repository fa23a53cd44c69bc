"""The refresh of prices from the clouds' public lists, with a local server that responds in their recorded formats.

The formats are those of the Retail Prices API, and of an offer file of the AWS bulk price list. Proves which item is
chosen, what is written, and that nothing is written if a list cannot be read. Not proven: that the lists still have the
items that the tables query.
"""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from estimates import __main__ as command
from estimates.prices import PRICES, read_prices
from estimates.refresh import PriceListError, aws, lists, refresh

DAY = datetime.date(2027, 1, 15)
HEAD = "# A comment that is not changed.\ncurrency: USD\nprices:\n"
ROW = """\
  - item: {item}
    region: {region}
    unit: hour
    usd: 0.5
    source: https://example.com/old
    checked: 2026-08-14
    how: by hand
    query: {query}
"""


class PriceLists:
    """A server of price lists: `answers`, keyed by path, and `filters`, the queries that it received."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.filters: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        lists = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                lists.filters += parse_qs(parts.query).get("$filter", [])
                key = f"{parts.path}?page" if "page=2" in parts.query else parts.path
                answer = lists.answers.get(key)
                self.send_response(200 if answer is not None else 404)
                self.end_headers()
                self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Keep the output of tests free of requests."""

        return Handler


@pytest.fixture
def price_lists() -> Iterator[PriceLists]:
    served = PriceLists()
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture(autouse=True)
def _forget_offers() -> None:
    aws._cache_folder.cache_clear()


def write_table(folder: Path, cloud: str, *rows: tuple[str, str, str]) -> Path:
    path = folder / f"{cloud}.yaml"
    path.write_text(HEAD + "".join(ROW.format(item=item, region=region, query=query) for item, region, query in rows))
    return path


def item(price: float, **more: Any) -> Mapping[str, Any]:
    """An item as the API returns it, with the fields that are read."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "westeurope",
        "location": "EU West",
        "meterName": "D4s v5",
        "productName": "Virtual Machines Dsv5 Series",
        "skuName": "D4s v5",
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        **more,
    }


def offer(usage: str, *tiers: tuple[float, str], **attributes: str) -> Mapping[str, Any]:
    """An offer file with one product of that usage type, and one of another."""
    dimensions = {
        f"S.T.{number}": {"unit": "Hrs", "beginRange": begin, "endRange": "Inf", "pricePerUnit": {"USD": f"{usd:.10f}"}}
        for number, (usd, begin) in enumerate(tiers)
    }
    return {
        "formatVersion": "v1.0",
        "publicationDate": "2026-09-25T17:45:21Z",
        "products": {
            "S": {"sku": "S", "attributes": {"usagetype": usage, **attributes}},
            "X": {"sku": "X", "attributes": {"usagetype": "EU-Other", **attributes}},
        },
        "terms": {"OnDemand": {"S": {"S.T": {"priceDimensions": dimensions}}, "X": {}}, "Reserved": {}},
    }


def test_a_price_of_azure_is_read_by_region_and_meter(tmp_path: Path, price_lists: PriceLists) -> None:
    query = "{serviceName: Virtual Machines, armSkuName: Standard_D4s_v5, excluding: [Windows, Spot, Low Priority]}"
    path = write_table(tmp_path, "azure", ("node/Standard_D4s_v5", "westeurope", query))
    price_lists.answers["/api/retail/prices"] = {
        "BillingCurrency": "USD",
        "Items": [
            item(0.23),
            item(0.414, productName="Virtual Machines Dsv5 Series Windows"),
            item(0.046, skuName="D4s v5 Spot", meterName="D4s v5 Spot"),
        ],
        "NextPageLink": f"{price_lists.address}/api/retail/prices?page=2",
        "Count": 3,
    }
    price_lists.answers["/api/retail/prices?page"] = {
        "Items": [item(0.04, meterName="D4s v5 Low Priority")],
        "NextPageLink": None,
    }
    found = refresh("azure", tmp_path, price_lists.address, DAY)
    (price,) = read_prices(path)
    assert (price.usd, price.checked, price.how) == (0.23, DAY, "price-list")
    assert price.source.startswith(f"{price_lists.address}/api/retail/prices?$filter=")
    assert price_lists.filters[0] == (
        "serviceName eq 'Virtual Machines' and armSkuName eq 'Standard_D4s_v5' and armRegionName eq 'westeurope' "
        "and priceType eq 'Consumption'"
    )
    assert path.read_text().startswith("# A comment that is not changed.")
    assert found.describe() == "azure: 1 prices read; changed: node/Standard_D4s_v5 0.5 -> 0.23"


def test_a_paid_tier_is_used_if_the_table_requests_it(tmp_path: Path, price_lists: PriceLists) -> None:
    query = "{productName: Log Analytics, meterName: Analytics Logs Data Ingestion, tierMinimumUnits: 5}"
    path = write_table(tmp_path, "azure", ("logs-ingestion", "westeurope", query))
    tiers = [item(0.0), item(2.99, tierMinimumUnits=5)]
    price_lists.answers["/api/retail/prices"] = {"Items": tiers, "NextPageLink": None}
    refresh("azure", tmp_path, price_lists.address, DAY)
    assert read_prices(path)[0].usd == 2.99


def test_the_price_of_an_ambiguous_meter_does_not_change(tmp_path: Path, price_lists: PriceLists) -> None:
    path = write_table(tmp_path, "azure", ("a", "westeurope", "{serviceName: S}"))
    price_lists.answers["/api/retail/prices"] = {"Items": [item(1.0), item(2.0)], "NextPageLink": None}
    found = refresh("azure", tmp_path, price_lists.address, DAY)
    assert read_prices(path)[0].usd == 0.5
    assert found.not_found == ("a",)


def test_a_price_of_aws_is_the_first_paid_tier_of_its_usage_type(tmp_path: Path, price_lists: PriceLists) -> None:
    path = write_table(
        tmp_path,
        "aws",
        ("nat-gateway", "eu-west-1", "{service: AmazonEC2, usageType: EU-NatGateway-Hours, operation: NatGateway}"),
        ("table-storage", "eu-west-1", "{service: AmazonDynamoDB, usageType: EU-TimedStorage-ByteHrs}"),
    )
    where = "/offers/v1.0/aws/{}/current/eu-west-1/index.json"
    ec2 = offer("EU-NatGateway-Hours", (0.048, "0"), operation="NatGateway")
    price_lists.answers[where.format("AmazonEC2")] = ec2
    tiers = ((0.0, "0"), (0.283, "25"))
    price_lists.answers[where.format("AmazonDynamoDB")] = offer("EU-TimedStorage-ByteHrs", *tiers)
    found = refresh("aws", tmp_path, price_lists.address, DAY)
    assert {price.item: price.usd for price in read_prices(path)} == {"nat-gateway": 0.048, "table-storage": 0.283}
    assert found.read == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "cannot be read: "),
        ("<html>sign in</html>", "cannot be read: "),
        ("[]", "is not an object"),
        ({"Items": []} | {"BillingCurrency": "EUR"}, "no items in US dollars"),
        ({"message": "throttled"}, "no items in US dollars"),
    ],
    ids=["missing", "html", "list", "currency", "other"],
)
def test_a_list_that_cannot_be_read_changes_nothing(
    tmp_path: Path, price_lists: PriceLists, answer: Any, message: str
) -> None:
    path = write_table(tmp_path, "azure", ("a", "westeurope", "{serviceName: S}"))
    before = path.read_text()
    if answer is not None:
        price_lists.answers["/api/retail/prices"] = answer
    with pytest.raises(PriceListError, match=message):
        refresh("azure", tmp_path, price_lists.address, DAY)
    assert path.read_text() == before


def test_an_offer_of_another_form_changes_nothing(tmp_path: Path, price_lists: PriceLists) -> None:
    path = write_table(tmp_path, "aws", ("a", "eu-west-1", "{service: AmazonEC2, usageType: U}"))
    before = path.read_text()
    price_lists.answers["/offers/v1.0/aws/AmazonEC2/current/eu-west-1/index.json"] = {"products": []}
    with pytest.raises(PriceListError, match="no products with terms"):
        refresh("aws", tmp_path, price_lists.address, DAY)
    assert path.read_text() == before


def test_an_unreachable_list_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "http://127.0.0.1:9"  # the discard port, on which nothing listens
    for cloud, query in (("azure", "{serviceName: S}"), ("aws", "{service: AmazonEC2, usageType: U}")):
        write_table(tmp_path, cloud, ("a", "here", query))
    monkeypatch.setattr(command, "refresh", lambda cloud: lists.refresh(cloud, tmp_path, nowhere))
    assert command.main() == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all("cannot be read: " in error and "stays as it is" in error for error in errors)


def test_the_projects_tables_can_be_rewritten_row_by_row() -> None:
    """Every row has the form that a refresh rewrites."""
    for cloud in ("azure", "aws"):
        path = PRICES / f"{cloud}.yaml"
        text = path.read_text()
        for price in read_prices(path):
            changed = lists._rewrite_row(text, price, 12345.678, "https://example.com/new", DAY)
            assert changed.count("12345.678") == 1, price.item
