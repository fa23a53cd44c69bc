"""A simulated AWS account for tests of AWS resource models, and valid inputs for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.cloud import ACCOUNT, CLOUD
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
GROUP, ENDPOINT = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/vpcEndpoint:VpcEndpoint"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
ACCESS_ENTRY = "aws:eks/accessEntry:AccessEntry"
EVENT_RULE, EVENT_TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
INSTANCE_PROFILE = "aws:iam/instanceProfile:InstanceProfile"
QUEUE, QUEUE_POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
KEY, LOGS, TRAIL = "aws:kms/key:Key", "aws:cloudwatch/logGroup:LogGroup", "aws:cloudtrail/trail:Trail"
BUCKET, BUCKET_POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
DATABASE, TABLE = "aws:rds/instance:Instance", "aws:dynamodb/table:Table"
CLUSTER, NODES, ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
ECR, DOMAIN = "aws:ecr/repository:Repository", "aws:sagemaker/domain:Domain"
ALARM, DASHBOARD = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/dashboard:Dashboard"
METRIC_FILTER, QUERY = (
    "aws:cloudwatch/logMetricFilter:LogMetricFilter",
    "aws:cloudwatch/queryDefinition:QueryDefinition",
)
BUDGET = "aws:budgets/budget:Budget"
SECRET, TEMPLATE = "aws:secretsmanager/secret:Secret", "aws:ec2/launchTemplate:LaunchTemplate"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
AUTOSCALING = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


def allow(actions: Any, **fields: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, **fields}


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


TRUST = policy(allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"}))
READ = policy(allow("s3:GetObject", Resource="arn:aws:s3:::b/*"))
ITEMS = {"name": "models", "hashKey": "name", "attributes": [{"name": "name", "type": "S"}]}
POSTGRES = {
    "identifier": "acme-db",
    "instanceClass": "db.t4g.medium",
    "engine": "postgres",
    "allocatedStorage": 64,
    "storageType": "gp3",
    "username": "mlflow",
    "password": "correcthorsebatterystaple",
    "backupRetentionPeriod": 7,
}
CPU_ALARM: dict[str, Any] = {
    "name": "cpu",
    "namespace": "AWS/RDS",
    "metricName": "CPUUtilization",
    "statistic": "Average",
    "comparisonOperator": "GreaterThanThreshold",
    "evaluationPeriods": 1,
    "period": 300,
    "treatMissingData": "ignore",
}
FILTER: dict[str, Any] = {
    "name": "errors",
    "logGroupName": "/acme/a",
    "pattern": "ERROR",
    "metricTransformation": {"name": "errors", "namespace": "Acme", "value": "1"},
}
MONTHLY_BUDGET: dict[str, Any] = {
    "name": "monthly",
    "budgetType": "COST",
    "timeUnit": "MONTHLY",
    "limitAmount": "5000",
    "limitUnit": "USD",
    "notifications": [
        {
            "comparisonOperator": "GREATER_THAN",
            "notificationType": "ACTUAL",
            "threshold": 80,
            "thresholdType": "PERCENTAGE",
            "subscriberEmailAddresses": ["ml@example.com"],
        }
    ],
}
EKS = {
    "name": "acme",
    "roleArn": UNKNOWN,
    "version": "1.36",
    "vpcConfig": {"subnetIds": UNKNOWN, "endpointPrivateAccess": True, "endpointPublicAccess": False},
    "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16"},
    "enabledClusterLogTypes": ["audit"],
}
POOL = {
    "clusterName": "acme",
    "nodeRoleArn": UNKNOWN,
    "subnetIds": UNKNOWN,
    "scalingConfig": {"minSize": 2, "maxSize": 3, "desiredSize": 2},
    "instanceTypes": ["m6i.xlarge"],
    "amiType": "AL2023_x86_64_STANDARD",
    "taints": [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}],
}
STUDIO = {
    "domainName": "acme",
    "authMode": "IAM",
    "vpcId": UNKNOWN,
    "subnetIds": UNKNOWN,
    "defaultUserSettings": {"executionRole": UNKNOWN},
}


class Account:
    """A simulated account in eu-west-1."""

    def __init__(self) -> None:
        self.state = StateStore(":memory:")
        self.simulation = Simulation(CLOUD, self.state)
        self.simulation.configure({"region": "eu-west-1"})
        self._count = 0

    def check(self, type_: str, inputs: Mapping[str, Any]) -> str:
        return "; ".join(self.simulation.check("urn::resource", type_, Values(dict(inputs)))[1])

    def create(self, type_: str, **inputs: Any) -> str:
        self._count += 1
        urn = f"urn::resource-{self._count}"
        complete, _ = self.simulation.check(urn, type_, Values(inputs))
        return self.simulation.create(urn, type_, complete, preview=False)[0]

    def get_outputs(self, type_: str, id_: str) -> Mapping[str, Any]:
        record = self.state.get(type_, id_)
        assert record is not None
        return record.outputs

    def get_arn(self, type_: str, id_: str) -> str:
        return str(self.get_outputs(type_, id_)["arn"])

    def delete(self, type_: str, id_: str) -> None:
        self.simulation.delete("urn::resource", type_, id_)

    def create_vpc(self, cidr: str = "10.0.0.0/16", **inputs: Any) -> str:
        return self.create(VPC, cidrBlock=cidr, **inputs)

    def create_subnets(self, vpc: str, zones: str = "ab") -> list[str]:
        return [
            self.create(SUBNET, vpcId=vpc, cidrBlock=f"10.0.{number}.0/24", availabilityZone=f"eu-west-1{zone}")
            for number, zone in enumerate(zones)
        ]

    def create_role(self, name: str, service: str, *policies: str, actions: Any = "sts:AssumeRole") -> str:
        trusted = policy(allow(actions, Principal={"Service": service}))
        id_ = self.create(ROLE, name=name, assumeRolePolicy=trusted)
        for name_ in policies:
            self.create(ATTACHMENT, role=id_, policyArn=f"arn:aws:iam::aws:policy/{name_}")
        return self.get_arn(ROLE, id_)

    def create_key(self, *statements: Mapping[str, Any]) -> str:
        root = allow("kms:*", Principal={"AWS": ROOT}, Resource="*")
        return self.get_arn(KEY, self.create(KEY, policy=policy(root, *statements)))


class EksCluster:
    """An EKS cluster in an account; each test leaves out or breaks one requirement of its nodes."""

    def __init__(self, account: Account) -> None:
        self.account, self.vpc = account, account.create_vpc()
        self.subnets = account.create_subnets(self.vpc)
        role = account.create_role("cluster", "eks.amazonaws.com")
        network = {"subnetIds": self.subnets}
        account.create(CLUSTER, name="acme", roleArn=role, vpcConfig=network, bootstrapSelfManagedAddons=False)

    def create_internet_route(self) -> None:
        gateway = self.account.create("aws:ec2/internetGateway:InternetGateway", vpcId=self.vpc)
        route = {"cidrBlock": "0.0.0.0/0", "gatewayId": gateway}
        table = self.account.create("aws:ec2/routeTable:RouteTable", vpcId=self.vpc, routes=[route])
        for subnet in self.subnets:
            self.account.create(
                "aws:ec2/routeTableAssociation:RouteTableAssociation", subnetId=subnet, routeTableId=table
            )

    def create_addon(self, name: str, **inputs: Any) -> None:
        self.account.create(ADDON, clusterName="acme", addonName=name, **inputs)

    def create_nodes(self, **inputs: Any) -> None:
        """Create a node group that meets all requirements."""
        self.create_internet_route()
        self.create_addon("vpc-cni")
        role = self.account.create_role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
        self.create_node_group(role, **inputs)

    def create_node_group(self, role: str, **inputs: Any) -> None:
        values = {**POOL, "nodeRoleArn": role, "subnetIds": self.subnets, **inputs}
        self.account.create(NODES, **values)
