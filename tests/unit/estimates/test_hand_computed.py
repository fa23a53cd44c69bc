"""Costs of single resources, computed by hand: quantities and prices are written out, independent of the code.

Proves that quantities, prices and their sum are within 1 % of those computed by hand. Not proven: that a price is
what the cloud bills; each has its source in estimates/prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from estimates import load_prices, monthly_cost
from tests.support.estimated_resources import USAGE, provider, resource

PRICES = load_prices()

EKS, NODES, TEMPLATE = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:ec2/launchTemplate:LaunchTemplate"
NAT, ENDPOINT, RDS = "aws:ec2/natGateway:NatGateway", "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:rds/instance:Instance"
LOGS, ALARM = "aws:cloudwatch/logGroup:LogGroup", "aws:cloudwatch/metricAlarm:MetricAlarm"
TABLE, BUCKET, TRAIL = "aws:dynamodb/table:Table", "aws:s3/bucket:Bucket", "aws:cloudtrail/trail:Trail"
AKS, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
SERVER, ACCOUNT = "azure-native:dbforpostgresql:Server", "azure-native:storage:StorageAccount"
COSMOS, DATABASE = "azure-native:cosmosdb:DatabaseAccount", "azure-native:cosmosdb:SqlResourceSqlDatabase"
REGISTRY, WORKSPACE = "azure-native:containerregistry:Registry", "azure-native:operationalinsights:Workspace"
ML = "azure-native:machinelearningservices:Workspace"
RULE, TRAINING = "azure-native:monitor:ScheduledQueryRule", "azure-native:machinelearningservices:Compute"
DATA = [{"dataResources": [{"type": "AWS::S3::Object"}]}]
METRIC = {"metric": {"metricName": "m"}}


def pool(size: str, nodes: int, **more: Any) -> dict[str, Any]:
    return {"vmSize": size, "minCount": nodes, "enableAutoScaling": True, **more}


def group(size: str, nodes: int) -> dict[str, Any]:
    return {"instanceTypes": [size], "scalingConfig": {"minSize": nodes, "maxSize": 9, "desiredSize": 5}}


def server(size: str, gigabytes: int, mode: str = "Disabled") -> dict[str, Any]:
    return {"sku": {"name": size}, "storage": {"storageSizeGB": gigabytes}, "highAvailability": {"mode": mode}}


def network(*kinds: str) -> dict[str, Any]:
    """A managed network with a rule of each kind."""
    rules = {f"rule-{number}": {"type": kind} for number, kind in enumerate(kinds)}
    return {"isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Basic", "outboundRules": rules}


def compute(size: str, idle: int = 0) -> dict[str, Any]:
    return {"properties": {"properties": {"vmSize": size, "scaleSettings": {"minNodeCount": idle}}}}


# Name, type, inputs, assumptions that differ, and the sum as it would be computed on paper.
CASES: list[tuple[str, str, Mapping[str, Any], Mapping[str, float], float]] = [
    ("eks", EKS, {}, {}, 730 * 0.10),
    ("two nodes", NODES, group("m6i.xlarge", 2), {}, 2 * 730 * 0.214),
    ("three nodes", NODES, group("m6i.xlarge", 3), {}, 468.66),
    ("no nodes", NODES, group("m6i.xlarge", 0), {}, 0.0),
    ("nodes in working hours", NODES, group("m6i.xlarge", 2), {"nodeHours": 220}, 94.16),
    ("small nodes", NODES, group("m6i.large", 4), {}, 312.44),
    ("arm nodes", NODES, group("m7g.large", 5), {}, 332.15),
    ("nat", NAT, {}, {}, 35.04 + 4.80),
    ("nat without traffic", NAT, {}, {"networkGb": 0}, 35.04),
    ("nat with a terabyte", NAT, {}, {"networkGb": 1000}, 35.04 + 48.00),
    ("address", "aws:ec2/eip:Eip", {}, {}, 3.65),
    ("endpoint in one zone", ENDPOINT, {"vpcEndpointType": "Interface", "subnetIds": ["a"]}, {}, 8.03 + 1.00),
    ("endpoint in three", ENDPOINT, {"vpcEndpointType": "Interface", "subnetIds": ["a", "b", "c"]}, {}, 24.09 + 1.00),
    ("gateway endpoint", ENDPOINT, {"vpcEndpointType": "Gateway"}, {}, 0.0),
    (
        "rds in one zone",
        RDS,
        {"instanceClass": "db.t4g.medium", "storageType": "gp3", "allocatedStorage": 64, "multiAz": False},
        {},
        50.37 + 8.128,
    ),
    (
        "rds with a standby",
        RDS,
        {"instanceClass": "db.m6g.large", "storageType": "gp3", "allocatedStorage": 50, "multiAz": True},
        {},
        256.96 + 12.70,
    ),
    (
        "rds with a small standby",
        RDS,
        {"instanceClass": "db.t4g.medium", "storageType": "gp3", "allocatedStorage": 100, "multiAz": True},
        {},
        100.74 + 25.40,
    ),
    (
        "rds in working hours",
        RDS,
        {"instanceClass": "db.t4g.micro", "storageType": "gp3", "allocatedStorage": 20},
        {"databaseHours": 220},
        3.74 + 2.54,
    ),
    ("bucket", BUCKET, {}, {}, 1.15 + 5.00 + 0.40),
    ("bucket of a terabyte", BUCKET, {}, {"objectsGb": 1000, "requestsMillion": 0}, 23.00),
    ("table", TABLE, {}, {}, 3 * 0.1415 + 3 * 0.705 + 2 * 0.283),
    ("table with backup", TABLE, {"pointInTimeRecovery": {"enabled": True}}, {}, 0.4245 + 2.115 + 0.566 + 0.44),
    ("busy table", TABLE, {}, {"tableRequestsMillion": 100, "tableGb": 0}, 14.15 + 70.50),
    ("logs of 30 days", LOGS, {"retentionInDays": 30}, {}, 11.40 + 0.60),
    ("logs of 90 days", LOGS, {"retentionInDays": 90}, {}, 11.40 + 1.80),
    ("logs of a year", LOGS, {"retentionInDays": 365}, {"logsGb": 100}, 57.00 + 36.50),
    ("alarm", ALARM, {"metricName": "m"}, {}, 0.10),
    ("alarm on two metrics", ALARM, {"metricQueries": [{"expression": "a/b"}, METRIC, METRIC]}, {}, 0.20),
    ("metric of logs", "aws:cloudwatch/logMetricFilter:LogMetricFilter", {}, {}, 0.30),
    ("dashboard", "aws:cloudwatch/dashboard:Dashboard", {}, {}, 3.00),
    ("trail", TRAIL, {"eventSelectors": DATA}, {}, 10 * 0.10),
    ("trail without data events", TRAIL, {"eventSelectors": []}, {}, 0.0),
    ("key", "aws:kms/key:Key", {}, {}, 1.00 + 100 * 0.03),
    ("secret", "aws:secretsmanager/secret:Secret", {}, {}, 0.40 + 100 * 0.05),
    ("images", "aws:ecr/repository:Repository", {}, {"imagesGb": 30}, 3.00),
    ("queue", "aws:sqs/queue:Queue", {}, {"requestsMillion": 5}, 2.00),
    ("aks without sla", AKS, {"sku": {"tier": "Free"}}, {}, 0.0),
    ("aks with sla", AKS, {"sku": {"tier": "Standard"}}, {}, 73.00),
    (
        "aks with two nodes",
        AKS,
        {"sku": {"tier": "Standard"}, "agentPoolProfiles": [pool("Standard_D4s_v5", 2)]},
        {},
        73.00 + 335.80 + 43.36,
    ),
    ("pool of three", POOL, pool("Standard_D4s_v5", 3), {}, 3 * 167.90 + 3 * 21.68),
    ("pool of large nodes", POOL, pool("Standard_D8s_v5", 1), {}, 335.80 + 41.811428),
    ("pool in working hours", POOL, pool("Standard_D4s_v5", 2), {"nodeHours": 220}, 101.20 + 43.36),
    ("pool with small disks", POOL, pool("Standard_D4s_v5", 2, osDiskSizeGB=64), {}, 335.80 + 22.4544),
    ("pool with local disks", POOL, pool("Standard_D4ds_v5", 2, osDiskType="Ephemeral"), {}, 397.12),
    ("pool of a fixed size", POOL, {"vmSize": "Standard_D2s_v5", "count": 4}, {}, 335.80 + 86.72),
    ("gpu pool from zero", POOL, pool("Standard_NC4as_T4_v3", 0), {}, 0.0),
    ("postgres", SERVER, server("Standard_B2s", 64), {}, 58.108 + 8.7616),
    ("postgres with a standby", SERVER, server("Standard_D2ds_v5", 64, "ZoneRedundant"), {}, 309.52 + 17.5232),
    ("postgres in hours", SERVER, server("Standard_D4ds_v5", 128), {"databaseHours": 220}, 93.28 + 17.5232),
    ("objects in zones", ACCOUNT, {"sku": {"name": "Standard_ZRS"}}, {}, 1.20 + 6.75 + 0.43),
    ("objects in one", ACCOUNT, {"sku": {"name": "Standard_LRS"}}, {"objectsGb": 1000}, 19.60 + 5.40 + 0.43),
    ("serverless", COSMOS, {"capabilities": [{"name": "EnableServerless"}]}, {}, 0.50 + 18 * 0.305),
    (
        "cosmos with backup",
        COSMOS,
        {"backupPolicy": {"continuousModeProperties": {"tier": "Continuous30Days"}}},
        {},
        0.50 + 0.40,
    ),
    ("autoscale", DATABASE, {"options": {"autoscaleSettings": {"maxThroughput": 1000}}}, {}, 8.76),
    ("autoscale of 4000", DATABASE, {"options": {"autoscaleSettings": {"maxThroughput": 4000}}}, {}, 35.04),
    ("throughput", DATABASE, {"options": {"throughput": 400}}, {}, 4 * 730 * 0.008),
    ("azure nat", "azure-native:network:NatGateway", {}, {}, 32.85 + 4.50),
    ("azure address", "azure-native:network:PublicIPAddress", {}, {}, 3.65),
    ("private endpoint", "azure-native:network:PrivateEndpoint", {}, {}, 7.30 + 1.00),
    ("private zone", "azure-native:privatedns:PrivateZone", {}, {}, 0.50),
    ("premium registry", REGISTRY, {"sku": {"name": "Premium"}}, {}, 50.69),
    ("basic registry", REGISTRY, {"sku": {"name": "Basic"}}, {}, 5.067),
    ("vault", "azure-native:keyvault:Vault", {}, {}, 3.00),
    ("workspace of 30 days", WORKSPACE, {"retentionInDays": 30}, {}, 59.80),
    ("workspace of 91 days", WORKSPACE, {"retentionInDays": 91}, {"logsGb": 100}, 299.00 + 26.00),
    ("metric alert", "azure-native:monitor:MetricAlert", {"criteria": {"allOf": [{}]}}, {}, 0.10),
    ("log alert", RULE, {"evaluationFrequency": "PT15M"}, {}, 0.50),
    ("frequent log alert", RULE, {"evaluationFrequency": "PT5M"}, {}, 1.50),
    ("flow logs", "azure-native:network:FlowLog", {}, {}, 2.50),
    ("managed network", ML, {"managedNetwork": network()}, {}, 5 * 7.30),
    ("managed network with rules", ML, {"managedNetwork": network("PrivateEndpoint", "FQDN")}, {}, 6 * 7.30 + 288.35),
    ("workspace without a managed network", ML, {}, {}, 0),
    ("training", TRAINING, compute("Standard_D4s_v3"), {}, 2.40),
    ("training with an idle node", TRAINING, compute("Standard_D4s_v3", idle=1), {}, 740 * 0.24),
    ("peering", "azure-native:network:VirtualNetworkPeering", {}, {}, 2.00),
]


@pytest.mark.parametrize(
    ("type_", "inputs", "usage", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_costs_equal_those_computed_by_hand(
    type_: str, inputs: Mapping[str, Any], usage: Mapping[str, float], expected: float
) -> None:
    stack = [provider(type_.partition(":")[0]), resource(type_, **inputs)]
    estimate = monthly_cost(stack, PRICES, {**USAGE, **usage})
    assert estimate.missing == ()
    assert estimate.unknown == ()
    assert estimate.total_usd == pytest.approx(expected, rel=0.01)


def test_there_are_at_least_fifty_cases_of_both_clouds() -> None:
    assert len(CASES) >= 50
    assert {case[1].partition(":")[0] for case in CASES} == {"aws", "azure-native"}


def test_the_disks_of_a_node_group_are_read_from_its_launch_template() -> None:
    disk = [{"ebs": {"volumeType": "gp3", "volumeSize": 100}}]
    stack = [
        provider("aws"),
        resource(NODES, "user", **group("m6i.xlarge", 2)),
        resource(TEMPLATE, "user", blockDeviceMappings=disk),
    ]
    assert monthly_cost(stack, PRICES, USAGE).total_usd == pytest.approx(312.44 + 17.60, rel=0.01)


def test_traffic_of_the_stack_is_shared_by_its_gateways() -> None:
    stack = [provider("aws"), *(resource(NAT, name) for name in ("one", "two", "three"))]
    assert monthly_cost(stack, PRICES, USAGE).total_usd == pytest.approx(3 * 35.04 + 4.80, rel=0.01)


@pytest.mark.parametrize(
    ("cloud", "cluster", "expected"),
    [
        ("aws", EKS, 73.00 + 18.396),
        ("azure-native", AKS, 18.25),
    ],  # 730 hours at 0.0252, and at 0.025 with a free cluster
)
def test_a_gateway_has_a_load_balancer_of_the_clusters_cloud(cloud: str, cluster: str, expected: float) -> None:
    stack = [provider(cloud), resource(cluster), resource("kubernetes:gateway.networking.k8s.io/v1:Gateway")]
    assert monthly_cost(stack, PRICES, USAGE).total_usd == pytest.approx(expected, rel=0.01)
