"""The models of AWS: what each refuses, that it lets the good pass, and that what a preview does not know passes too.

Proves the tables in rehearsal/cloud/aws rule by rule. The rules' truth, that AWS itself answers so, rests on its
documentation and on the words of its errors; nothing here has met the real cloud.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from rehearsal.cloud.aws import ACCOUNT, CLOUD
from rehearsal.cloud.model import Refusal
from rehearsal.cloud.simulation import Simulation
from rehearsal.cloud.values import UNKNOWN, Values
from rehearsal.cloud.world import FileWorld

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
GROUP, ENDPOINT = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/vpcEndpoint:VpcEndpoint"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
KEY, LOGS, TRAIL = "aws:kms/key:Key", "aws:cloudwatch/logGroup:LogGroup", "aws:cloudtrail/trail:Trail"
BUCKET, BUCKET_POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
DATABASE, TABLE = "aws:rds/instance:Instance", "aws:dynamodb/table:Table"
CLUSTER, NODES, ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
AUTOSCALING = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


class Account:
    """A simulated account in eu-west-1."""

    def __init__(self) -> None:
        self.world = FileWorld(":memory:")
        self.simulation = Simulation(CLOUD, self.world)
        self.simulation.configure({"region": "eu-west-1"})
        self._count = 0

    def check(self, type_: str, inputs: Mapping[str, Any]) -> str:
        return "; ".join(self.simulation.check("urn::it", type_, Values(dict(inputs))))

    def create(self, type_: str, **inputs: Any) -> str:
        self._count += 1
        return self.simulation.create(f"urn::it-{self._count}", type_, Values(inputs), preview=False)[0]

    def outputs(self, type_: str, id_: str) -> Mapping[str, Any]:
        record = self.world.get(type_, id_)
        assert record is not None
        return record.outputs

    def arn(self, type_: str, id_: str) -> str:
        return str(self.outputs(type_, id_)["arn"])

    def delete(self, type_: str, id_: str) -> None:
        self.simulation.delete("urn::it", type_, id_)

    def vpc(self, cidr: str = "10.0.0.0/16", **inputs: Any) -> str:
        return self.create(VPC, cidrBlock=cidr, **inputs)

    def subnets(self, vpc: str, zones: str = "ab") -> list[str]:
        return [
            self.create(SUBNET, vpcId=vpc, cidrBlock=f"10.0.{number}.0/24", availabilityZone=f"eu-west-1{zone}")
            for number, zone in enumerate(zones)
        ]

    def role(self, name: str, service: str, *policies: str, actions: Any = "sts:AssumeRole") -> str:
        trusted = policy(allow(actions, Principal={"Service": service}))
        id_ = self.create(ROLE, name=name, assumeRolePolicy=trusted)
        for one in policies:
            self.create(ATTACHMENT, role=id_, policyArn=f"arn:aws:iam::aws:policy/{one}")
        return self.arn(ROLE, id_)

    def key(self, *statements: Mapping[str, Any]) -> str:
        root = allow("kms:*", Principal={"AWS": ROOT}, Resource="*")
        return self.arn(KEY, self.create(KEY, policy=policy(root, *statements)))


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.world.close()


def allow(actions: Any, **fields: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, **fields}


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass(frozen=True)
class Rule:
    """One rule on inputs alone: `good` passes, `good` with `bad` over it is refused in these words."""

    type: str
    good: Mapping[str, Any]
    bad: Mapping[str, Any]
    words: str


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
EKS = {
    "name": "acme",
    "roleArn": UNKNOWN,
    "version": "1.33",
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
S3 = {"vpcId": UNKNOWN, "serviceName": "com.amazonaws.eu-west-1.s3", "vpcEndpointType": "Gateway"}
OPEN = {"vpcId": UNKNOWN, "name": "db", "description": "Database", "ingress": [{"cidrBlocks": ["10.0.0.0/8"]}]}
DOMAIN = {
    "domainName": "acme",
    "authMode": "IAM",
    "vpcId": UNKNOWN,
    "subnetIds": UNKNOWN,
    "defaultUserSettings": {"executionRole": UNKNOWN},
}
ECR = "aws:ecr/repository:Repository"
FLOWS = {"vpcId": UNKNOWN, "trafficType": "ALL", "iamRoleArn": UNKNOWN, "maxAggregationInterval": 600}

RULES = [
    Rule(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
    Rule(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.1/16"}, "InvalidVpc.Range"),
    Rule(
        SUBNET,
        {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/24", "availabilityZone": "eu-west-1c"},
        {"availabilityZone": "us-east-1a"},
        "following availability zones: eu-west-1a, eu-west-1b, eu-west-1c",
    ),
    Rule(ENDPOINT, S3, {"serviceName": "com.amazonaws.eu-west-1.s4"}, "InvalidServiceName"),
    Rule(ENDPOINT, S3, {"serviceName": "com.amazonaws.us-east-1.s3"}, "InvalidServiceName"),
    Rule(ENDPOINT, S3, {"serviceName": "com.amazonaws.eu-west-1.kms"}, "does not match available service types"),
    Rule(GROUP, OPEN, {"name": "sg-db"}, "cannot begin with sg-"),
    Rule(GROUP, OPEN, {"description": "MLflow's"}, "GroupDescription is invalid"),
    Rule(GROUP, OPEN, {"ingress": [{"self": True, "description": "it's"}]}, "doesn't comply with restrictions"),
    Rule(GROUP, OPEN, {"ingress": [{"fromPort": 1}]}, "must be set to create an AWS Security Group Rule"),
    Rule(GROUP, OPEN, {"egress": [{"cidrBlocks": ["everywhere"]}]}, "CIDR block everywhere is malformed"),
    Rule("aws:ec2/flowLog:FlowLog", FLOWS, {"maxAggregationInterval": 300}, "one of [60 600]"),
    Rule("aws:ec2/flowLog:FlowLog", FLOWS, {"iamRoleArn": None}, "DeliverLogsPermissionArn can't be empty"),
    Rule("aws:ec2/launchTemplate:LaunchTemplate", {"name": "nodes"}, {"name": "n"}, "MalformedException"),
    Rule(ROLE, {"name": "a", "assumeRolePolicy": TRUST}, {"name": "a" * 65}, "less than or equal to 64"),
    Rule(ROLE, {"name": "a", "assumeRolePolicy": TRUST}, {"assumeRolePolicy": "{"}, "contains invalid Json"),
    Rule(ROLE, {"name": "a", "assumeRolePolicy": TRUST}, {"assumeRolePolicy": READ}, "prohibited field Resource"),
    Rule(
        ROLE,
        {"name": "a", "assumeRolePolicy": TRUST},
        {"assumeRolePolicy": policy(allow("sts:AssumeRole", Principal="x" * 2048))},
        "ACLSizePerRole: 2048",
    ),
    Rule(ROLE_POLICY, {"role": "a", "policy": READ}, {"policy": TRUST}, "should not specify a principal"),
    Rule(ROLE_POLICY, {"role": "a", "policy": READ}, {"policy": policy(allow("s3:Get"))}, "must contain resources"),
    Rule(
        ROLE_POLICY,
        {"role": "a", "policy": READ},
        {"policy": policy(allow("s3:Get", Resource="bucket"))},
        "must be in ARN format",
    ),
    Rule(
        ROLE_POLICY,
        {"role": "a", "policy": READ},
        {"policy": policy(allow("GetObject", Resource="*"))},
        "must be prefaced by a vendor",
    ),
    Rule(
        ATTACHMENT,
        {"role": "a", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSClustersPolicy"},
        "does not exist or is not attachable",
    ),
    Rule(KEY, {"deletionWindowInDays": 7}, {"deletionWindowInDays": 6}, "range (7 - 30)"),
    Rule(
        KEY,
        {"policy": policy(allow("kms:*", Principal={"AWS": ROOT}, Resource="*"))},
        {"policy": policy(allow("kms:*", Principal={"AWS": AUTOSCALING}, Resource="*"))},
        "will not allow you to update the key policy",
    ),
    Rule(
        "aws:kms/alias:Alias",
        {"name": "alias/acme", "targetKeyId": UNKNOWN},
        {"name": "alias/aws/s3"},
        'not "alias/aws/"',
    ),
    Rule("aws:secretsmanager/secret:Secret", {"name": "acme/db"}, {"name": "acme db"}, "Invalid name"),
    Rule(
        "aws:secretsmanager/secret:Secret",
        {"name": "acme/db", "recoveryWindowInDays": 7},
        {"recoveryWindowInDays": 3},
        "range (7 - 30)",
    ),
    *(
        Rule(BUCKET, {"bucket": "acme-artifacts"}, {"bucket": name}, "InvalidBucketName")
        for name in ("ab", "Acme", "acme_data", "a..b", "10.0.0.1", "xn--acme", "acme-s3alias", "a" * 64)
    ),
    Rule(
        BUCKET_POLICY,
        {
            "bucket": "b",
            "policy": policy(allow("s3:*", Principal="*", Resource=["arn:aws:s3:::b", "arn:aws:s3:::b/*"])),
        },
        {"policy": policy(allow("s3:*", Principal="*", Resource="arn:aws:s3:::c"))},
        "invalid resource",
    ),
    Rule(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {"bucket": "b", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256", "kmsMasterKeyId": "k"}}]},
        "KMSMasterKeyID is not applicable",
    ),
    Rule(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "On"}},
        "one of [Enabled Suspended Disabled]",
    ),
    Rule(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"bucket": "b", "rules": [{"expiration": {"days": 1}}]},
        {"rules": [{"expiration": {"days": 0}}]},
        "must be a positive integer",
    ),
    Rule(ECR, {"name": "acme/serving"}, {"name": "acme/Serving"}, "repositoryName"),
    Rule(ECR, {"name": "acme"}, {"imageTagMutability": "FIXED"}, "image_tag_mutability"),
    Rule(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {"repository": "a", "policy": json.dumps({"rules": [{"rulePriority": 1, "selection": {}, "action": {}}]})},
        {"policy": json.dumps({"rules": [{"rulePriority": 1}]})},
        "Lifecycle policy validation failure",
    ),
    Rule(DATABASE, POSTGRES, {"identifier": "acme--db"}, "not a valid identifier"),
    Rule(DATABASE, POSTGRES, {"instanceClass": "t4g.medium"}, "Invalid DB Instance class"),
    Rule(DATABASE, POSTGRES, {"password": "pass/word"}, "not a valid password"),
    Rule(DATABASE, POSTGRES, {"allocatedStorage": 10}, "Invalid storage size"),
    Rule(DATABASE, POSTGRES, {"username": "admin"}, "reserved word"),
    Rule(DATABASE, POSTGRES, {"backupRetentionPeriod": 36}, "Must be between 0 and 35"),
    Rule(
        "aws:rds/subnetGroup:SubnetGroup",
        {"name": "acme", "subnetIds": UNKNOWN},
        {"name": "default"},
        "lowercase alphanumeric",
    ),
    Rule(
        "aws:rds/parameterGroup:ParameterGroup",
        {"name": "acme", "family": "postgres16"},
        {"name": "16"},
        "must be a letter",
    ),
    Rule(TABLE, ITEMS, {"name": "t"}, "at least 3 characters"),
    Rule(TABLE, ITEMS, {"rangeKey": "version"}, "not defined in AttributeDefinitions"),
    Rule(TABLE, ITEMS, {"attributes": [{"name": "name"}, {"name": "stage"}]}, "Unused attributes: ['stage']"),
    Rule(LOGS, {"name": "/acme/a"}, {"name": "/acme/ä"}, "logGroupName"),
    Rule(LOGS, {"name": "/acme/a", "retentionInDays": 60}, {"retentionInDays": 45}, "got 45"),
    Rule(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {"name": "cpu", "comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1, "period": 300},
        {"period": 45},
        "Metric period 45",
    ),
    Rule("aws:sns/topic:Topic", {"name": "alerts"}, {"name": "a.b"}, "Topic Name"),
    Rule(
        "aws:sns/topicSubscription:TopicSubscription",
        {"topic": UNKNOWN, "protocol": "email", "endpoint": "a@example.com"},
        {"protocol": "pigeon"},
        "got pigeon",
    ),
    Rule(TRAIL, {"name": "audit", "s3BucketName": "b"}, {"name": "au--dit"}, "InvalidTrailNameException"),
    Rule(
        TRAIL,
        {"name": "audit", "s3BucketName": "b", "cloudWatchLogsGroupArn": "a:*", "cloudWatchLogsRoleArn": "r"},
        {"cloudWatchLogsGroupArn": "a"},
        "InvalidCloudWatchLogsLogGroupArnException",
    ),
    Rule(CLUSTER, EKS, {"name": "-acme"}, "can contain only alphanumeric"),
    Rule(CLUSTER, EKS, {"version": "1.12"}, "unsupported Kubernetes version"),
    Rule(CLUSTER, EKS, {"enabledClusterLogTypes": ["everything"]}, "got everything"),
    Rule(CLUSTER, EKS, {"accessConfig": {"authenticationMode": "MAP"}}, "authentication_mode"),
    Rule(CLUSTER, EKS, {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "8.8.0.0/16"}}, "service CIDR"),
    Rule(
        CLUSTER,
        EKS,
        {"vpcConfig": {"subnetIds": UNKNOWN, "endpointPrivateAccess": False, "endpointPublicAccess": False}},
        "cannot be false",
    ),
    Rule(
        CLUSTER,
        EKS,
        {"vpcConfig": {"subnetIds": UNKNOWN, "publicAccessCidrs": ["10.0.0.0/8"]}},
        "not allowed in publicAccessCidrs: [10.0.0.0/8]",
    ),
    Rule(NODES, POOL, {"scalingConfig": {"minSize": 3, "maxSize": 3, "desiredSize": 2}}, "Minimum capacity 3"),
    Rule(NODES, POOL, {"scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 4}}, "greater than max size 3"),
    Rule(NODES, POOL, {"instanceTypes": ["m7g.xlarge"]}, "[m7g.xlarge] is not a valid instance type"),
    Rule(NODES, POOL, {"capacityType": "CHEAP"}, "capacity_type"),
    Rule(NODES, POOL, {"taints": [{"effect": "NoSchedule"}]}, "NO_SCHEDULE NO_EXECUTE PREFER_NO_SCHEDULE"),
    Rule(ADDON, {"clusterName": "acme", "addonName": "coredns"}, {"addonName": "dns"}, "Addon dns specified"),
    Rule(
        ADDON,
        {"clusterName": "acme", "addonName": "coredns", "configurationValues": "{}"},
        {"configurationValues": "replicas=2"},
        "ConfigurationValue provided in request",
    ),
    Rule("aws:sagemaker/domain:Domain", DOMAIN, {"domainName": "-acme"}, "domainName"),
    Rule("aws:sagemaker/domain:Domain", DOMAIN, {"authMode": "NONE"}, "got NONE"),
    Rule("aws:sagemaker/domain:Domain", DOMAIN, {"appNetworkAccessType": "Open"}, "got Open"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.type.split(':')[-1]}-{rule.words[:40]}")
def test_rule_refuses_the_bad_and_lets_the_good_and_the_unknown_pass(account: Account, rule: Rule) -> None:
    assert account.check(rule.type, rule.good) == ""
    bad = {name: value for name, value in {**rule.good, **rule.bad}.items() if value is not None}
    assert rule.words in account.check(rule.type, bad)
    assert account.check(rule.type, {**rule.good, **dict.fromkeys(rule.bad, UNKNOWN)}) == ""


def test_subnets_lie_in_their_network_and_beside_each_other(account: Account) -> None:
    vpc = account.vpc()
    account.create(SUBNET, vpcId=vpc, cidrBlock="10.0.0.0/18")
    with pytest.raises(Refusal, match=r"InvalidSubnet\.Range: The CIDR '10\.1\.0\.0/24' is invalid"):
        account.create(SUBNET, vpcId=vpc, cidrBlock="10.1.0.0/24")
    with pytest.raises(Refusal, match=r"InvalidSubnet\.Conflict"):
        account.create(SUBNET, vpcId=vpc, cidrBlock="10.0.32.0/24")


def test_nat_needs_an_internet_gateway_of_which_there_is_one(account: Account) -> None:
    vpc = account.vpc()
    (subnet,) = account.subnets(vpc, "a")
    nat = {"subnetId": subnet, "allocationId": account.create("aws:ec2/eip:Eip", domain="vpc")}
    with pytest.raises(Refusal, match=r"Gateway\.NotAttached"):
        account.create("aws:ec2/natGateway:NatGateway", **nat)
    account.create("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)
    account.create("aws:ec2/natGateway:NatGateway", **nat)
    with pytest.raises(Refusal, match=r"Resource\.AlreadyAssociated"):
        account.create("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)


@pytest.mark.parametrize(
    ("dns", "zones", "words"),
    [(True, "ab", ""), (False, "ab", "requires both enableDnsSupport"), (True, "aa", "DuplicateSubnetsInSameZone")],
)
def test_interface_endpoints_need_dns_and_a_zone_each(account: Account, dns: bool, zones: str, words: str) -> None:
    vpc = account.vpc(enableDnsHostnames=dns)
    endpoint = {
        "vpcId": vpc,
        "serviceName": "com.amazonaws.eu-west-1.kms",
        "vpcEndpointType": "Interface",
        "subnetIds": account.subnets(vpc, zones),
        "privateDnsEnabled": True,
    }
    if words:
        with pytest.raises(Refusal, match=words):
            account.create(ENDPOINT, **endpoint)
        return
    account.create(ENDPOINT, **endpoint)
    with pytest.raises(Refusal, match=r"conflicting DNS domain for kms\.eu-west-1\.amazonaws\.com"):
        account.create(ENDPOINT, **endpoint)


def test_names_beside_ids_are_taken_once(account: Account) -> None:
    vpc = account.vpc()
    account.create(GROUP, name="db", vpcId=vpc)
    account.create(GROUP, name="db", vpcId=account.vpc("10.9.0.0/16"))
    with pytest.raises(Refusal, match=r"InvalidGroup\.Duplicate: The security group 'db' already exists for VPC 'vpc-"):
        account.create(GROUP, name="db", vpcId=vpc)
    account.create("aws:secretsmanager/secret:Secret", name="acme/db")
    with pytest.raises(Refusal, match=r"ResourceExistsException.*acme/db already exists"):
        account.create("aws:secretsmanager/secret:Secret", name="acme/db")


def test_keys_open_for_those_their_policy_names(account: Account) -> None:
    logs = allow("kms:GenerateDataKey*", Principal={"Service": "logs.eu-west-1.amazonaws.com"}, Resource="*")
    account.create(LOGS, name="/acme/open", kmsKeyId=account.key(logs))
    with pytest.raises(Refusal, match=r"AccessDeniedException: The specified KMS key .*log-group:/acme/shut"):
        account.create(LOGS, name="/acme/shut", kmsKeyId=account.key())
    with pytest.raises(Refusal, match="one or more invalid principals"):
        account.key(allow("kms:Decrypt", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, Resource="*"))


def test_a_public_bucket_policy_is_blocked(account: Account) -> None:
    bucket = account.create(BUCKET, bucket="acme-artifacts")
    account.create("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket=bucket, blockPublicPolicy=True)
    everybody = policy(allow("s3:GetObject", Principal="*", Resource=f"arn:aws:s3:::{bucket}/*"))
    with pytest.raises(Refusal, match="BlockPublicPolicy"):
        account.create(BUCKET_POLICY, bucket=bucket, policy=everybody)
    with pytest.raises(Refusal, match="NoSuchBucket"):
        account.create(BUCKET_POLICY, bucket="acme-gone", policy=policy())


def test_a_trail_tries_its_bucket_its_key_and_its_role(account: Account) -> None:
    bucket = account.create(BUCKET, bucket="acme-audit")
    trail = {"name": "audit", "s3BucketName": bucket}
    with pytest.raises(Refusal, match="InsufficientS3BucketPolicyException"):
        account.create(TRAIL, **trail)
    writer, own = {"Service": "cloudtrail.amazonaws.com"}, f"arn:aws:s3:::{bucket}"
    access = allow(["s3:GetBucketAcl", "s3:PutObject"], Principal=writer, Resource=[own, f"{own}/*"])
    account.create(BUCKET_POLICY, bucket=bucket, policy=policy(access))
    with pytest.raises(Refusal, match="InsufficientEncryptionPolicyException"):
        account.create(TRAIL, **trail, kmsKeyId=account.key())
    group = f"{account.arn(LOGS, account.create(LOGS, name='/acme/audit'))}:*"
    with pytest.raises(Refusal, match="InvalidCloudWatchLogsRoleArnException"):
        account.create(
            TRAIL,
            **trail,
            cloudWatchLogsGroupArn=group,
            cloudWatchLogsRoleArn=account.role("other", "ec2.amazonaws.com"),
        )
    account.create(
        TRAIL,
        **trail,
        kmsKeyId=account.key(allow("kms:GenerateDataKey*", Principal=writer, Resource="*")),
        cloudWatchLogsGroupArn=group,
        cloudWatchLogsRoleArn=account.role("trail", "cloudtrail.amazonaws.com"),
    )


def test_a_database_has_two_zones_and_parameters_of_its_version(account: Account) -> None:
    vpc = account.vpc()
    first, second = account.subnets(vpc)
    with pytest.raises(Refusal, match="Current AZ coverage: eu-west-1a"):
        account.create("aws:rds/subnetGroup:SubnetGroup", name="one", subnetIds=[first])
    account.create("aws:rds/subnetGroup:SubnetGroup", name="two", subnetIds=[first, second])
    account.create("aws:rds/parameterGroup:ParameterGroup", name="old", family="postgres15")
    database = {**POSTGRES, "engineVersion": "16", "dbSubnetGroupName": "two", "skipFinalSnapshot": True}
    with pytest.raises(Refusal, match="DBParameterGroupFamily postgres16"):
        account.create(DATABASE, **database, parameterGroupName="old")
    with pytest.raises(Refusal, match="DBSubnetGroupNotFoundFault"):
        account.create(DATABASE, **{**database, "dbSubnetGroupName": "three"})
    id_ = account.create(DATABASE, **database)
    with pytest.raises(Refusal, match="database instance: acme-db is still using it"):
        account.delete("aws:rds/subnetGroup:SubnetGroup", "two")
    account.delete(DATABASE, id_)


@pytest.mark.parametrize(
    ("type_", "inputs", "words"),
    [
        (DATABASE, {**POSTGRES, "deletionProtection": True, "skipFinalSnapshot": True}, "Cannot delete protected"),
        (DATABASE, POSTGRES, "final_snapshot_identifier is required"),
        (TABLE, {**ITEMS, "deletionProtectionEnabled": True}, "protected against deletion"),
    ],
)
def test_what_is_protected_stays(account: Account, type_: str, inputs: Mapping[str, Any], words: str) -> None:
    id_ = account.create(type_, **inputs)
    with pytest.raises(Refusal, match=words):
        account.delete(type_, id_)


def test_a_role_goes_after_its_policies(account: Account) -> None:
    account.role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    with pytest.raises(Refusal, match="DeleteConflict"):
        account.delete(ROLE, "nodes")
    with pytest.raises(Refusal, match="NoSuchEntity: The role with name gone"):
        account.create(ROLE_POLICY, name="p", role="gone", policy=READ)


class Kubernetes:
    """An account with a cluster; every part of a node group can be spoilt on its own."""

    def __init__(self, account: Account) -> None:
        self.account, self.vpc = account, account.vpc()
        self.subnets = account.subnets(self.vpc)
        role = account.role("cluster", "eks.amazonaws.com")
        network = {"subnetIds": self.subnets}
        account.create(CLUSTER, name="acme", roleArn=role, vpcConfig=network, bootstrapSelfManagedAddons=False)

    def way_out(self) -> None:
        gateway = self.account.create("aws:ec2/internetGateway:InternetGateway", vpcId=self.vpc)
        route = {"cidrBlock": "0.0.0.0/0", "gatewayId": gateway}
        table = self.account.create("aws:ec2/routeTable:RouteTable", vpcId=self.vpc, routes=[route])
        for subnet in self.subnets:
            self.account.create(
                "aws:ec2/routeTableAssociation:RouteTableAssociation", subnetId=subnet, routeTableId=table
            )

    def addon(self, name: str, **inputs: Any) -> None:
        self.account.create(ADDON, clusterName="acme", addonName=name, **inputs)

    def nodes(self, role: str, **inputs: Any) -> None:
        given = {**POOL, "nodeRoleArn": role, "subnetIds": self.subnets, **inputs}
        self.account.create(NODES, **given)


@pytest.fixture
def kubernetes(account: Account) -> Kubernetes:
    return Kubernetes(account)


def test_nodes_join_with_policy_network_and_way_out(account: Account, kubernetes: Kubernetes) -> None:
    with pytest.raises(Refusal, match=r"service principals \[ec2\.amazonaws\.com\] were not found"):
        kubernetes.nodes(account.role("wrong", "eks.amazonaws.com"))
    with pytest.raises(Refusal, match="NodeCreationFailure: Instances failed to join"):
        kubernetes.nodes(account.role("bare", "ec2.amazonaws.com"))
    role = account.role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    with pytest.raises(Refusal, match="NodeCreationFailure: Instances failed to join"):
        kubernetes.nodes(role)
    kubernetes.way_out()
    with pytest.raises(Refusal, match="NodeCreationFailure: Unhealthy nodes"):
        kubernetes.nodes(role)
    kubernetes.addon("vpc-cni")
    with pytest.raises(Refusal, match="InsufficientNumberOfReplicas"):
        kubernetes.addon("coredns")
    kubernetes.nodes(role)
    kubernetes.addon("coredns")
    with pytest.raises(Refusal, match="Cluster has nodegroups attached"):
        account.delete(CLUSTER, "acme")


def test_nodes_start_when_auto_scaling_may_open_their_disks(account: Account, kubernetes: Kubernetes) -> None:
    kubernetes.way_out()
    kubernetes.addon("vpc-cni")
    role = account.role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    for opened in (False, True):
        named = allow(["kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"], Principal={"AWS": AUTOSCALING})
        key = account.key(*([named] if opened else []))
        disk = {"deviceName": "/dev/xvda", "ebs": {"kmsKeyId": key}}
        template = account.create(
            "aws:ec2/launchTemplate:LaunchTemplate", name=f"nodes-{opened}", blockDeviceMappings=[disk]
        )
        if opened:
            kubernetes.nodes(role, launchTemplate={"id": template})
        else:
            with pytest.raises(Refusal, match=r"Client\.InternalError: Client error on launch"):
                kubernetes.nodes(role, launchTemplate={"id": template})


def test_pods_take_roles_that_trust_them_once(account: Account, kubernetes: Kubernetes) -> None:
    pods = ["sts:AssumeRole", "sts:TagSession"]
    role = account.role("pods", "pods.eks.amazonaws.com", actions=pods)
    untagged = account.role("untagged", "pods.eks.amazonaws.com")
    association = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    pod = {"clusterName": "acme", "namespace": "serving", "serviceAccount": "serving"}
    with pytest.raises(Refusal, match=r"does not allow pods\.eks\.amazonaws\.com"):
        account.create(association, **pod, roleArn=untagged)
    with pytest.raises(Refusal, match=r"does not allow pods\.eks\.amazonaws\.com"):
        kubernetes.addon("vpc-cni", podIdentityAssociations=[{"roleArn": untagged, "serviceAccount": "aws-node"}])
    account.create(association, **pod, roleArn=role)
    with pytest.raises(Refusal, match="ResourceInUseException: Association already exists"):
        account.create(association, **pod, roleArn=role)
    with pytest.raises(Refusal, match="No cluster found for name: other"):
        account.create(association, **{**pod, "clusterName": "other"}, roleArn=role)


@pytest.mark.parametrize(
    ("zones", "service", "principal", "words"),
    [
        ("aa", "172.20.0.0/16", "eks.amazonaws.com", "in at least two different AZs"),
        ("ab", "10.0.128.0/20", "eks.amazonaws.com", "overlaps the VPC's CIDR"),
        ("ab", "172.20.0.0/16", "ec2.amazonaws.com", "could not be assumed because it does not exist or"),
    ],
)
def test_a_cluster_has_two_zones_free_addresses_and_its_role(
    account: Account, zones: str, service: str, principal: str, words: str
) -> None:
    network = {"subnetIds": account.subnets(account.vpc(), zones)}
    role = account.role("cluster", principal)
    with pytest.raises(Refusal, match=words):
        account.create(
            CLUSTER,
            name="acme",
            roleArn=role,
            vpcConfig=network,
            kubernetesNetworkConfig={"serviceIpv4Cidr": service},
        )


def test_studio_needs_a_role_that_trusts_it(account: Account) -> None:
    vpc = account.vpc()
    domain = {**DOMAIN, "vpcId": vpc, "subnetIds": account.subnets(vpc)}
    settings = {"executionRole": account.role("other", "ec2.amazonaws.com")}
    with pytest.raises(Refusal, match=r'service principal "sagemaker\.amazonaws\.com"'):
        account.create("aws:sagemaker/domain:Domain", **{**domain, "defaultUserSettings": settings})


ELSEWHERE = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("vpc-0123456789abcdef0", "InvalidVpcID.NotFound: The vpc ID 'vpc-0123456789abcdef0' does not exist"),
        ("subnet-0123456789abcdef0", "InvalidSubnetID.NotFound"),
        ("sg-0123456789abcdef0", "InvalidGroup.NotFound"),
        (ELSEWHERE, f"NotFoundException: Key '{ELSEWHERE}' does not exist"),
        ("arn:aws:s3:::acme-gone/*", "NoSuchBucket"),
        (f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/gone:*", "ResourceNotFoundException"),
        ("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", None),
        ("arn:aws:kms:eu-west-1:999999999999:key/1", None),
        ("vpc-is-a-word", None),
        (policy(allow("s3:*", Resource="arn:aws:s3:::acme-gone")), None),
    ],
)
def test_references_to_what_is_not_there_are_refused(account: Account, value: str, words: str | None) -> None:
    if words is None:
        account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})
    else:
        with pytest.raises(Refusal) as refusal:
            account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})
        assert words in str(refusal.value)


def test_references_below_what_exists_pass(account: Account) -> None:
    bucket = account.arn(BUCKET, account.create(BUCKET, bucket="acme-artifacts"))
    group = account.arn(LOGS, account.create(LOGS, name="/acme/a"))
    for value in (bucket, f"{bucket}/", f"{bucket}/mlflow/*", f"{group}:*"):
        account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})


def test_what_is_referred_to_cannot_be_deleted(account: Account) -> None:
    vpc = account.vpc()
    (subnet,) = account.subnets(vpc, "a")
    with pytest.raises(Refusal, match=f"in use by {subnet}"):
        account.delete(VPC, vpc)


@pytest.mark.parametrize(
    ("region", "words"), [("", 'missing required configuration key "aws:region"'), ("westeurope", "invalid AWS Region")]
)
def test_the_provider_wants_a_region(account: Account, region: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        account.simulation.configure({"region": region})


@pytest.mark.parametrize(
    ("region", "zones"),
    [
        ("eu-west-1", ["euw1-az1", "euw1-az2", "euw1-az3"]),
        ("ca-central-1", ["cac1-az1", "cac1-az2", "cac1-az4"]),
        ("ap-southeast-2", ["apse2-az1", "apse2-az2", "apse2-az3"]),
    ],
)
def test_zones_have_the_names_of_their_region(account: Account, region: str, zones: list[str]) -> None:
    account.simulation.configure({"region": region})
    function = "aws:index/getAvailabilityZones:getAvailabilityZones"
    assert account.simulation.invoke(function, Values({})).plain["zoneIds"] == zones
    without = account.simulation.invoke(function, Values({"excludeZoneIds": zones[:1]}))
    assert without.plain["zoneIds"] == zones[1:]


def test_outputs_have_the_clouds_formats(account: Account, kubernetes: Kubernetes) -> None:
    cluster = account.outputs(CLUSTER, "acme")
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    assert issuer.startswith("https://oidc.eks.eu-west-1.amazonaws.com/id/")
    assert cluster["arn"] == f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/acme"
    database = account.outputs(DATABASE, account.create(DATABASE, **POSTGRES, port=5432))
    assert database["endpoint"] == f"{database['address']}:5432"
    repository = account.outputs(ECR, account.create(ECR, name="acme/serving"))
    assert repository["repositoryUrl"] == f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/acme/serving"
    endpoint = account.create(ENDPOINT, vpcId=kubernetes.vpc, serviceName="com.amazonaws.eu-west-1.dynamodb")
    assert account.outputs(ENDPOINT, endpoint)["cidrBlocks"]


def test_a_changed_launch_template_is_a_new_version(account: Account) -> None:
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    id_ = account.create(template, name="nodes")
    assert account.outputs(template, id_)["latestVersion"] == 1
    changed = Values({"name": "nodes", "description": "now with a description"})
    account.simulation.update("urn::it-1", template, id_, changed, Values(), preview=False)
    assert account.outputs(template, id_)["latestVersion"] == 2
