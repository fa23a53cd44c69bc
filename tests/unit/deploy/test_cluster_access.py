"""Whether this machine can reach the Kubernetes API in the way that the settings declare, according to its addresses.

Proves the comparison of addresses. Not proven: that a connection succeeds.
"""

from __future__ import annotations

from typing import Any

import pytest

from deploy.cluster_access import check_way_in, find_source_address
from deploy.findings import Status
from infra.core.settings import Settings


def settings(**cluster: Any) -> Settings:
    base = {"cloud": "aws", "environment": "dev", "location": "eu-west-1", "organization": "acme", "owner": "ml"}
    return Settings.model_validate({**base, "cluster": cluster})


@pytest.mark.parametrize("block", ["192.0.2.0/24", "198.51.100.7/32", "203.0.113.0/25"])
def test_example_addresses_do_not_allow_access(block: str) -> None:
    found = check_way_in(settings(authorizedRanges=["192.88.99.0/24", block]), "10.0.0.1")
    assert found.status is Status.MISSING
    assert f"has {block}, an example address" in found.text


@pytest.mark.parametrize(
    ("cluster", "source", "status"),
    [
        ({"authorizedRanges": ["192.88.99.0/24"]}, "", Status.OK),
        ({"privateAccessFrom": ["10.0.0.0/24"]}, "10.0.0.9", Status.OK),
        ({"privateAccessFrom": ["10.0.0.0/24"]}, "10.20.3.9", Status.OK),
        ({"privateAccessFrom": ["10.0.0.0/24"]}, "10.0.1.9", Status.NOTE),
        ({"privateAccessFrom": ["10.0.0.0/24"]}, "", Status.NOTE),
    ],
    ids=["public", "from a hub", "from inside the network", "from elsewhere", "without a route"],
)
def test_a_private_api_is_reachable_from_its_networks_only(
    cluster: dict[str, Any], source: str, status: Status
) -> None:
    assert check_way_in(settings(**cluster), source).status is status


def test_this_machine_has_an_address_or_no_route() -> None:
    address = find_source_address(settings(privateAccessFrom=["10.0.0.0/24"]))
    assert address == "" or address.count(".") == 3
