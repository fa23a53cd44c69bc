"""The foundation on AWS, declared against the simulated account.

Proves what the models and policies cannot know: that the settings, the names, the tags and the access table arrive at
the resources they are meant for. What AWS would refuse is proven in tests/unit/rehearsal/simulator/aws/test_*.py; what
the house forbids, by the policy pack.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pulumi
import pytest

from infra import aws
from infra.access import WORKLOADS, Store
from infra.aws.network import SubnetBlocks
from infra.contract import Foundation
from tests.support.recording import RecordedResource, Recorder, is_secret, record_program, resolve, stack_context

ALERTS: dict[str, Any] = {"telemetry": {"alertEmail": "ml@example.com", "retentionDays": 45}}


@dataclass(frozen=True)
class Built:
    recorder: Recorder
    foundation: Foundation

    def of(self, type_: str, name: str = "") -> list[RecordedResource]:
        return [resource for resource in self.recorder.of(type_) if name in ("", resource.name)]

    def only(self, type_: str, name: str) -> Mapping[str, Any]:
        (resource,) = self.of(type_, name)
        return resource.inputs


def build(environment: str = "dev", **settings: Any) -> Built:
    context = stack_context("aws", environment, **settings)
    return Built(*record_program(lambda: aws.create_foundation(context), f"aws-{environment}"))


@pytest.fixture(scope="module")
def dev() -> Built:
    return build(**ALERTS)


@pytest.fixture(scope="module")
def prod() -> Built:
    return build("prod", organization="abcdefgh", **ALERTS)  # the longest name that settings allow


def test_whatever_can_carry_tags_carries_those_of_the_house(dev: Built) -> None:
    tags = dict(stack_context("aws").naming.tags)
    taggable = [resource for resource in dev.recorder.resources if _takes_tags(resource.type)]
    untagged = [f"{one.type} {one.name}" for one in taggable if not tags.items() <= one.inputs.get("tags", {}).items()]
    assert taggable
    assert not untagged


def _takes_tags(type_: str) -> bool:
    package, module, kind = type_.split(":")
    if package != "aws":
        return False
    initializer: Callable[..., None] = getattr(import_module(f"pulumi_aws.{module.split('/')[0]}"), kind)._internal_init
    return "tags" in inspect.signature(initializer).parameters


def test_longest_names_fit_in_production_too(prod: Built) -> None:
    """The models refuse names that AWS would refuse, so having been built is the proof."""
    assert prod.only("aws:s3/bucket:Bucket", "audit")["bucket"].startswith("abcdefgh-gw-prod-audit-")


READ_OBJECTS = {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}
WRITE_OBJECTS = {
    *READ_OBJECTS,
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "kms:GenerateDataKey",
}
WRITE_ITEMS = {
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:DescribeTable",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "kms:Decrypt",
    "kms:GenerateDataKey",
}
READ_IMAGES = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetAuthorizationToken",
}


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("mlflow", READ_OBJECTS),
        ("training", WRITE_OBJECTS | WRITE_ITEMS | READ_IMAGES),
        ("serving", READ_OBJECTS | WRITE_ITEMS | READ_IMAGES),
    ],
)
def test_a_workload_may_do_what_its_row_says_and_nothing_else(dev: Built, workload: str, expected: set[str]) -> None:
    assert {
        action for statement in _statements(dev, f"identity-{workload}") for action in statement["Action"]
    } == expected


def _statements(built: Built, role: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(built.only("aws:iam/rolePolicy:RolePolicy", role)["policy"])[
        "Statement"
    ]
    return statements


def test_serving_reads_with_the_key_of_the_store_through_the_store_only(dev: Built) -> None:
    key = dev.of("aws:kms/key:Key", "secrets-key")[0].outputs["arn"]
    granted = {
        statement["Condition"]["StringEquals"]["kms:ViaService"]: (statement["Action"], statement["Resource"])
        for statement in _statements(dev, "identity-serving")
        if statement["Action"][0].startswith("kms:")
    }
    assert granted == {
        "s3.eu-west-1.amazonaws.com": (["kms:Decrypt"], [key]),
        "dynamodb.eu-west-1.amazonaws.com": (["kms:Decrypt", "kms:GenerateDataKey"], [key]),
    }


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_only_its_own_service_account_takes_a_workloads_role(dev: Built, workload: Any) -> None:
    role = dev.only("aws:iam/role:Role", f"identity-{workload.name}")
    (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "acme-gw-dev-cluster",
        "aws:RequestTag/kubernetes-namespace": workload.namespace,
        "aws:RequestTag/kubernetes-service-account": workload.service_account,
    }
    association = dev.only("aws:eks/podIdentityAssociation:PodIdentityAssociation", f"identity-{workload.name}")
    assert (association["namespace"], association["serviceAccount"]) == (workload.namespace, workload.service_account)


def test_wildcard_resources_are_left_to_actions_that_know_no_resource(dev: Built) -> None:
    wild = {
        action
        for policy in dev.of("aws:iam/rolePolicy:RolePolicy")
        for statement in _statements(dev, policy.name)
        if "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert wild == {
        "cloudwatch:PutMetricData",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ecr:GetAuthorizationToken",
        "logs:DescribeLogGroups",
    }


def test_bounds_of_the_pools_reach_the_node_groups() -> None:
    built = build(cluster={"userPool": {"size": "m7g.2xlarge", "minimum": 3, "maximum": 7}})
    group = built.only("aws:eks/nodeGroup:NodeGroup", "cluster-user")
    assert group["scalingConfig"] == {"minSize": 3, "maxSize": 7, "desiredSize": 3}
    assert (group["instanceTypes"], group["amiType"]) == (["m7g.2xlarge"], "AL2023_ARM_64_STANDARD")
    system, user = built.foundation.cluster.node_pools
    assert (user.name, user.minimum, user.maximum, len(user.zones)) == ("user", 3, 7, 3)
    taints = built.only("aws:eks/nodeGroup:NodeGroup", "cluster-system")["taints"]
    assert [(taint.key, taint.value) for taint in system.taints] == [(one["key"], one["value"]) for one in taints]
    assert taints[0]["effect"] == "NO_SCHEDULE"


@pytest.mark.parametrize("ranges", [[], ["203.0.113.0/24"]])
def test_the_kubernetes_api_is_open_to_the_authorized_ranges_only(ranges: list[str]) -> None:
    access = build(cluster={"authorizedRanges": ranges}).only("aws:eks/cluster:Cluster", "cluster")["vpcConfig"]
    assert access["endpointPrivateAccess"] is True
    assert access["endpointPublicAccess"] is bool(ranges)
    assert access.get("publicAccessCidrs", []) == ranges


def test_production_has_no_zone_in_common_to_fall_with(dev: Built, prod: Built) -> None:
    assert len(dev.of("aws:ec2/natGateway:NatGateway")) == 1
    assert len({one.inputs["subnetId"] for one in prod.of("aws:ec2/natGateway:NatGateway")}) == 3
    assert [built.only("aws:rds/instance:Instance", "database")["multiAz"] for built in (dev, prod)] == [False, True]


def test_secrets_are_secret_and_the_kubeconfig_holds_none(dev: Built) -> None:
    cluster, database = dev.foundation.cluster, dev.foundation.tracking_db
    assert is_secret(database.password)
    assert is_secret(cluster.kubeconfig)
    kubeconfig: Any = cluster.kubeconfig
    (user,) = json.loads(resolve(kubeconfig))["users"]
    assert user["user"].keys() == {"exec"}


def test_stores_answer_where_the_network_policies_are_told(dev: Built) -> None:
    endpoints = {
        store: (list(resolve(pulumi.Output.from_input(one.cidrs))), one.port)
        for store, one in dev.foundation.endpoints.items()
    }
    gateway = dev.of("aws:ec2/vpcEndpoint:VpcEndpoint", "network-s3")[0]
    data = sorted(one.inputs["cidrBlock"] for one in dev.of("aws:ec2/subnet:Subnet") if "data" in one.name)
    assert endpoints.keys() == set(Store)
    assert endpoints[Store.ARTIFACTS] == (gateway.outputs["cidrBlocks"], 443)
    assert endpoints[Store.TRACKING_DB] == (data, 5432)
    assert dev.foundation.identities.keys() == {workload.name for workload in WORKLOADS}


def test_retention_is_rounded_up_to_what_cloudwatch_knows(dev: Built) -> None:
    assert {group.inputs["retentionInDays"] for group in dev.of("aws:cloudwatch/logGroup:LogGroup")} == {60}


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "172.16.0.0/17", "192.168.16.0/20"])
def test_subnets_share_the_network_without_overlap(cidr: str) -> None:
    blocks = SubnetBlocks.split(cidr)
    subnets = [ipaddress.IPv4Network(one) for one in (*blocks.private, *blocks.public, *blocks.data)]
    assert len(subnets) == 9
    assert all(one.subnet_of(ipaddress.IPv4Network(cidr)) for one in subnets)
    assert not any(one.overlaps(other) for one in subnets for other in subnets if one is not other)
