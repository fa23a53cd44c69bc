"""The topology of a stack in a report, from resources in the form of each cloud's SDK."""

from __future__ import annotations

from typing import Any

from infra.access import WORKLOADS
from reporting.topology import draw_access, list_exposures, read_networks
from tests.support.report_findings import urn

AWS_GROUP = "aws:ec2/securityGroup:SecurityGroup"


def resource(type_: str, name: str, **inputs: Any) -> dict[str, Any]:
    return {"urn": urn(type_, name), "type": type_, "custom": True, "inputs": inputs}


RULES = [
    {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"], "securityGroups": ["sg-1"]},
    {"protocol": "tcp", "fromPort": 1024, "toPort": 2048, "cidrBlocks": ["0.0.0.0/0"]},
    {"protocol": "-1", "self": True},
    {"protocol": "tcp", "fromPort": 22, "toPort": 22, "ipv6CidrBlocks": ["::/0"]},
]
AWS = [
    resource("aws:ec2/vpc:Vpc", "network", cidrBlock="10.0.0.0/16"),
    resource("aws:ec2/subnet:Subnet", "network-private-a", cidrBlock="10.0.0.0/20", availabilityZone="eu-west-1a"),
    resource(AWS_GROUP, "nodes", ingress=RULES),
    resource("aws:ec2/vpcEndpoint:VpcEndpoint", "network-s3"),
    resource("kubernetes:core/v1:Service", "subnet"),
]


def test_a_network_of_aws() -> None:
    [network] = read_networks(AWS)
    assert (network.name, network.blocks, network.endpoints) == ("network", "10.0.0.0/16", 1)
    assert [(each.block, each.zone) for each in network.subnets] == [("10.0.0.0/20", "eu-west-1a")]
    assert [(rule.text, rule.is_open) for rule in network.groups[0].rules] == [
        ("tcp 443 from 10.0.0.0/8, another group", False),
        ("tcp 1024-2048 from 0.0.0.0/0", True),
        ("-1 all ports from the group itself", False),
        ("tcp 22 from ::/0", True),
    ]


def test_changed_rules_that_admit_the_internet_are_listed() -> None:
    assert list_exposures(AWS, {urn(AWS_GROUP, "nodes")}) == [
        ("nodes", "tcp 1024-2048 from 0.0.0.0/0"),
        ("nodes", "tcp 22 from ::/0"),
    ]
    assert list_exposures(AWS, {urn(AWS_GROUP, "others")}) == []


def test_a_stack_without_a_network_has_no_topology_of_one() -> None:
    assert read_networks([]) == []


def test_every_access_of_the_table_is_a_line() -> None:
    graph = draw_access()
    assert len(graph.lines) == sum(len(workload.needs) for workload in WORKLOADS)
    assert all(0 < line.start < graph.height and 0 < line.end < graph.height for line in graph.lines)
