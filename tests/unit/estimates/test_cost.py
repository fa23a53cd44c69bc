"""What an estimate says about resources without a price, free and unknown ones, volumes, and two versions.

Proves the rules for single resources. test_hand_computed.py proves amounts, and test_stacks.py whole stacks.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from estimates import PriceTable, UsageError, compare, load_prices, monthly_cost
from estimates.prices import Price
from estimates.resources import Resource, find_group
from tests.support.estimated_resources import USAGE, provider, resource

PRICES = load_prices()
NAT = "aws:ec2/natGateway:NatGateway"
NODES = "aws:eks/nodeGroup:NodeGroup"


def test_a_part_without_a_price_is_named_and_the_rest_is_counted() -> None:
    group = resource(NODES, instanceTypes=["x9.huge"], scalingConfig={"minSize": 2})
    estimate = monthly_cost([provider("aws"), group, resource(NAT)], PRICES, USAGE)
    assert [(each.what, each.reason) for each in estimate.missing] == [
        ("nodes", "no price of node/x9.huge in eu-west-1")
    ]
    assert not estimate.is_complete
    assert estimate.total_usd == pytest.approx(39.84)
    assert [row.type for row in estimate.rows] == [NAT]


def test_a_price_of_another_region_is_not_used() -> None:
    elsewhere = Resource("urn::provider", "pulumi:providers:aws", {"region": "eu-central-1"})
    estimate = monthly_cost([elsewhere, resource(NAT)], PRICES, USAGE)
    assert estimate.total_usd == 0
    assert {each.reason for each in estimate.missing} == {
        "no price of nat-gateway in eu-central-1",
        "no price of nat-gateway-data in eu-central-1",
    }


def test_free_types_have_a_source_and_unlisted_types_are_unknown() -> None:
    stack = [provider("aws"), resource("aws:iam/role:Role"), resource("aws:quantum/computer:Computer")]
    estimate = monthly_cost(stack, PRICES, USAGE)
    sources = {free.type: free.source for free in estimate.free}
    assert sources["aws:iam/role:Role"].startswith("https://aws.amazon.com/")
    assert [type_ for _, type_ in estimate.unknown] == ["aws:quantum/computer:Computer"]
    assert not estimate.is_complete


def test_a_missing_assumption_is_an_error() -> None:
    with pytest.raises(UsageError, match="networkGb"):
        monthly_cost([provider("aws"), resource(NAT)], PRICES, {})


def test_unknown_values_count_as_not_set() -> None:
    unknown = resource("aws:rds/instance:Instance", multiAz="04da6b54-80e4-46f7-96ec-b56ff0331ba9")
    assert unknown.get("multiAz") is None


@pytest.mark.parametrize(
    ("manifest", "gigabytes"),
    [
        ({"kind": "PersistentVolumeClaim", "spec": {"resources": {"requests": {"storage": "10Gi"}}}}, 10),
        (
            {
                "kind": "StatefulSet",
                "spec": {
                    "replicas": 3,
                    "volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "8Gi"}}}}],
                },
            },
            24,
        ),
        (
            {
                "kind": "Prometheus",
                "spec": {
                    "replicas": 2,
                    "storage": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "50Gi"}}}}},
                },
            },
            100,
        ),
        ({"kind": "Deployment", "spec": {"replicas": 3}}, 0),
    ],
)
def test_volumes_of_charts_are_charged(manifest: dict[str, Any], gigabytes: float) -> None:
    release = resource("kubernetes:helm.sh/v3:Release", "chart")
    estimate = monthly_cost([provider("aws"), release], PRICES, USAGE, {release.urn: [manifest]})
    assert estimate.total_usd == pytest.approx(gigabytes * 0.088)


def test_volumes_on_azure_are_charged_by_disk_size_and_storage_class() -> None:
    release = resource("kubernetes:helm.sh/v3:Release", "chart")
    storage = resource("kubernetes:storage.k8s.io/v1:StorageClass", parameters={"skuName": "StandardSSD_ZRS"})
    claim = {"kind": "PersistentVolumeClaim", "spec": {"resources": {"requests": {"storage": "50Gi"}}}}
    estimate = monthly_cost([provider("azure-native"), storage, release], PRICES, USAGE, {release.urn: [claim]})
    assert estimate.total_usd == pytest.approx(7.20)  # the price of 64 GiB


def test_a_difference_lists_added_removed_and_changed_costs() -> None:
    before = monthly_cost([provider("aws"), resource(NAT, "a"), resource("aws:kms/key:Key")], PRICES, USAGE)
    after = monthly_cost([provider("aws"), resource(NAT, "a"), resource(NAT, "b")], PRICES, USAGE)
    difference = compare(before, after)
    assert {
        change.name: (round(change.before_usd, 2), round(change.after_usd, 2)) for change in difference.changes
    } == {
        "b": (0, 37.44),
        "a": (39.84, 37.44),  # the two share the traffic
        "one": (4.00, 0),
    }
    assert difference.total_usd == pytest.approx(after.total_usd - before.total_usd)


def test_a_group_is_the_outermost_component() -> None:
    stack = Resource("s", "pulumi:pulumi:Stack")
    outer = Resource("a::network", "groundwork:aws:Network", parent="s")
    inner = Resource("a::bucket", "groundwork:aws:Bucket", parent=outer.urn)
    one = Resource("a::one", NAT, parent=inner.urn)
    by_urn = {each.urn: each for each in (stack, outer, inner, one)}
    assert (find_group(one, by_urn), find_group(outer, by_urn)) == ("network", "other")


def test_a_table_finds_exact_regions_only() -> None:
    day = datetime.date(2026, 11, 30)
    table = PriceTable([Price("a", "here", "hour", 1.0, "https://example.com", day, "by hand")])
    assert table.find("a", "there") is None
    assert table.oldest("here") == day
    assert table.oldest("there") is None
