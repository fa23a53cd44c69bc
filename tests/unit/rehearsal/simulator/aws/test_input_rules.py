"""What AWS refuses because of the inputs themselves, in previews too; valid and unknown inputs pass.

Proves the models of AWS rule by rule. Not proven: that AWS has these rules, which come from its documentation and its
error messages. No test calls AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kernel.values import UNKNOWN
from tests.support.aws_account import (
    ACCESS_ENTRY,
    ADDON,
    ALARM,
    AUTOSCALING,
    BUCKET,
    BUCKET_POLICY,
    BUDGET,
    CLUSTER,
    CPU_ALARM,
    DASHBOARD,
    DATABASE,
    DOMAIN,
    ECR,
    EKS,
    ENDPOINT,
    EVENT_RULE,
    FILTER,
    GROUP,
    INSTANCE_PROFILE,
    ITEMS,
    KEY,
    LOGS,
    METRIC_FILTER,
    MONTHLY_BUDGET,
    NODES,
    POOL,
    POSTGRES,
    QUERY,
    QUEUE,
    QUEUE_POLICY,
    READ,
    ROLE,
    ROLE_POLICY,
    ROOT,
    SECRET,
    STUDIO,
    SUBNET,
    TABLE,
    TEMPLATE,
    TRAIL,
    TRUST,
    VPC,
    Account,
    allow,
    policy,
)
from tests.support.every_case import check_every

WIDGET = {"type": "metric", "width": 12, "properties": {"region": "eu-west-1", "metrics": [["AWS/RDS", "CPU"]]}}
BODY = json.dumps({"widgets": [WIDGET]})


@dataclass(frozen=True)
class Rule:
    """One rule: `valid` inputs pass; with `invalid` ones in their place the error contains `message`."""

    type: str
    valid: Mapping[str, Any]
    invalid: Mapping[str, Any]
    message: str


EXPIRY = {"rulePriority": 1, "description": "Keep few", "selection": {"countType": "imageCountMoreThan"}, "action": {}}
S3 = {"vpcId": UNKNOWN, "serviceName": "com.amazonaws.eu-west-1.s3", "vpcEndpointType": "Gateway"}
POSTGRES_PORT = {"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": ["10.0.0.0/8"]}
OPEN = {"vpcId": UNKNOWN, "name": "db", "description": "Database", "ingress": [POSTGRES_PORT]}
FLOWS = {"vpcId": UNKNOWN, "trafficType": "ALL", "iamRoleArn": UNKNOWN, "maxAggregationInterval": 600}
ROUTE_TABLE = "aws:ec2/routeTable:RouteTable"
ROUTES = {"vpcId": UNKNOWN, "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": UNKNOWN}, {"cidrBlock": UNKNOWN}]}
WINDOWS = {**POSTGRES, "maintenanceWindow": "sun:22:00-mon:02:00", "backupWindow": "20:00-21:00"}
COREDNS = {"clusterName": "acme", "addonName": "coredns"}

RULES = [
    Rule(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
    Rule(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.1/16"}, "InvalidVpc.Range"),
    Rule(
        SUBNET,
        {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/24", "availabilityZone": "eu-west-1c"},
        {"availabilityZone": "us-east-1a"},
        "following availability zones: eu-west-1a, eu-west-1b, eu-west-1c",
    ),
    Rule(ENDPOINT, S3, {"serviceName": "com.amazonaws.us-east-1.s3"}, "InvalidServiceName"),
    Rule(ENDPOINT, S3, {"serviceName": "com.amazonaws.us-east-1.ecr.api"}, "InvalidServiceName"),
    Rule(ENDPOINT, S3, {"serviceName": "com.amazonaws.eu-west-1.kms"}, "does not match available service types"),
    Rule(ENDPOINT, S3, {"serviceName": None}, "must contain the parameter ServiceName"),
    Rule(ENDPOINT, S3, {"serviceNetworkArn": "arn:aws:vpc-lattice:a"}, "Only one of serviceName"),
    Rule(GROUP, OPEN, {"name": "sg-db"}, "cannot begin with sg-"),
    Rule(GROUP, OPEN, {"description": "MLflow's"}, "GroupDescription is invalid"),
    Rule(GROUP, OPEN, {"ingress": [{"self": True, "description": "it's"}]}, "doesn't comply with restrictions"),
    Rule(GROUP, OPEN, {"egress": [{"cidrBlocks": ["everywhere"]}]}, "invalid CIDR address: everywhere"),
    Rule(ROUTE_TABLE, ROUTES, {"routes": [{"cidrBlock": "10.0.0.0"}]}, "invalid CIDR address: 10.0.0.0"),
    Rule(ROUTE_TABLE, ROUTES, {"routes": [{"cidrBlock": "10.0.0.1/8"}]}, 'did you mean "10.0.0.0/8"?'),
    Rule("aws:ec2/flowLog:FlowLog", FLOWS, {"maxAggregationInterval": 300}, "one of [60 600]"),
    Rule("aws:ec2/flowLog:FlowLog", FLOWS, {"iamRoleArn": None}, "DeliverLogsPermissionArn can't be empty"),
    Rule(TEMPLATE, {"name": "nodes"}, {"name": "n"}, "MalformedException"),
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
    Rule(SECRET, {"name": "acme/db"}, {"name": "acme db"}, "Invalid name"),
    Rule(
        SECRET,
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
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        {"bucket": "b", "role": "r", "rules": [{"status": "Enabled", "destination": {"bucket": "arn:aws:s3:::c"}}]},
        {"rules": [{"status": "Enabled", "destination": {"encryptionConfiguration": {"replicaKmsKeyId": "k"}}}]},
        "SseKmsEncryptedObjects must be specified",
    ),
    Rule(
        "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        {"sourceDbInstanceArn": "arn:aws:rds:eu-west-1:111122223333:db:a", "retentionPeriod": 7},
        {"retentionPeriod": 36},
        "range (1 - 35)",
    ),
    Rule(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"bucket": "b", "rules": [{"id": "old", "status": "Enabled", "expiration": {"days": 1}}]},
        {"rules": [{"expiration": {"days": 0}}]},
        "must be a positive integer",
    ),
    Rule(ECR, {"name": "acme/serving"}, {"name": "acme/Serving"}, "repositoryName"),
    Rule(ECR, {"name": "acme"}, {"imageTagMutability": "FIXED"}, "image_tag_mutability"),
    Rule(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {"repository": "acme", "policy": json.dumps({"rules": [EXPIRY]})},
        {"policy": json.dumps({"rules": [{"rulePriority": 1}]})},
        "Lifecycle policy validation failure",
    ),
    Rule(DATABASE, POSTGRES, {"identifier": "acme--db"}, "not a valid identifier"),
    Rule(DATABASE, POSTGRES, {"instanceClass": "t4g.medium"}, "InvalidParameterValue: Invalid DB Instance class"),
    Rule(DATABASE, POSTGRES, {"password": "pass/word"}, "not a valid password"),
    Rule(DATABASE, POSTGRES, {"allocatedStorage": 10}, "Invalid storage size"),
    Rule(DATABASE, POSTGRES, {"maxAllocatedStorage": 64}, "Max storage size must be greater than storage size"),
    Rule(DATABASE, POSTGRES, {"username": "admin"}, "reserved word"),
    Rule(DATABASE, POSTGRES, {"backupRetentionPeriod": 36}, "Must be between 0 and 35"),
    Rule(DATABASE, WINDOWS, {"maintenanceWindow": "sunday:22:00-monday:02:00"}, '"ddd:hh24:mi-ddd:hh24:mi"'),
    Rule(DATABASE, WINDOWS, {"backupWindow": "20-21"}, '"hh24:mi-hh24:mi"'),
    Rule(DATABASE, WINDOWS, {"maintenanceWindow": "sun:22:00-sun:22:20"}, "must be at least 30 minutes"),
    Rule(DATABASE, WINDOWS, {"backupWindow": "23:50-00:10"}, "must be at least 30 minutes"),
    *(
        Rule(DATABASE, WINDOWS, {"backupWindow": backups}, "must not overlap")
        for backups in ("21:00-22:01", "23:00-23:30", "01:59-03:00", "00:00-23:59")
    ),
    Rule(DATABASE, {**WINDOWS, "backupWindow": "21:00-22:00"}, {"maintenanceWindow": "sat:23:00-sun:22:00"}, "overlap"),
    Rule(DATABASE, {**WINDOWS, "backupWindow": "02:00-22:00"}, {"backupWindow": "01:30-22:00"}, "must not overlap"),
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
    Rule(ALARM, CPU_ALARM, {"period": 45}, "Metric period 45"),
    Rule(ALARM, CPU_ALARM, {"namespace": None}, "has no Namespace"),
    Rule(ALARM, CPU_ALARM, {"period": None}, "has no Period"),
    Rule(ALARM, CPU_ALARM, {"statistic": None}, "has no Statistic"),
    Rule(ALARM, {**CPU_ALARM, "statistic": None, "extendedStatistic": "p95"}, {"namespace": None}, "has no Namespace"),
    Rule(ALARM, CPU_ALARM, {"namespace": ":AWS"}, "at 'namespace'"),
    Rule(ALARM, CPU_ALARM, {"metricName": None}, "Exactly one of MetricName"),
    Rule(ALARM, CPU_ALARM, {"comparisonOperator": "Above"}, "got Above"),
    Rule(ALARM, CPU_ALARM, {"comparisonOperator": None}, "null at 'comparisonOperator'"),
    Rule(ALARM, CPU_ALARM, {"statistic": "p95"}, "got p95"),
    Rule(ALARM, CPU_ALARM, {"treatMissingData": "alarm"}, "got alarm"),
    Rule(ALARM, CPU_ALARM, {"evaluationPeriods": 0}, "at least (1), got 0"),
    Rule(ALARM, CPU_ALARM, {"evaluationPeriods": 289}, "86400"),
    Rule(ALARM, {**CPU_ALARM, "period": 3600, "evaluationPeriods": 168}, {"evaluationPeriods": 169}, "604800"),
    Rule(ALARM, CPU_ALARM, {"datapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to"),
    Rule(ALARM, CPU_ALARM, {"alarmActions": ["a"] * 6}, "at most 5 actions"),
    Rule(
        ALARM,
        {
            "name": "share",
            "comparisonOperator": "GreaterThanThreshold",
            "evaluationPeriods": 3,
            "metricQueries": [{"id": "a", "returnData": True}, {"id": "b"}],
        },
        {"metricQueries": [{"id": "a"}, {"id": "b"}]},
        "should return data",
    ),
    Rule(METRIC_FILTER, FILTER, {"name": "a*"}, "filterName 'a*'"),
    Rule(METRIC_FILTER, FILTER, {"pattern": "E" * 1025}, "over 1024 characters"),
    Rule(METRIC_FILTER, FILTER, {"metricTransformation": {"name": "a$", "namespace": "A", "value": "1"}}, "metricName"),
    Rule(METRIC_FILTER, FILTER, {"metricTransformation": {"name": "a", "namespace": "A:", "value": "1"}}, "Namespace"),
    Rule(
        METRIC_FILTER,
        FILTER,
        {"metricTransformation": {**FILTER["metricTransformation"], "defaultValue": "0", "dimensions": {"a": "$.a"}}},
        "dimensions and default value are mutually exclusive",
    ),
    Rule(QUERY, {"name": "errors", "queryString": "stats count(*)"}, {"queryString": ""}, "1 to 10000 characters"),
    Rule(QUERY, {"name": "errors", "queryString": "stats count(*)"}, {"name": ""}, "1 to 255 characters"),
    Rule(DASHBOARD, {"dashboardName": "acme", "dashboardBody": BODY}, {"dashboardName": "a b"}, "DashboardName"),
    *(
        Rule(DASHBOARD, {"dashboardName": "acme", "dashboardBody": BODY}, {"dashboardBody": body}, message)
        for body, message in (
            ("widgets", "valid JSON object"),
            ("{}", 'required property "widgets"'),
            (json.dumps({"widgets": [{"type": "text", "properties": {}}] * 501}), "more than 500 items"),
            (json.dumps({"widgets": [{**WIDGET, "type": "graph"}]}), "/widgets/0: type"),
            (json.dumps({"widgets": [{"type": "metric"}]}), 'required property "properties"'),
            (json.dumps({"widgets": [{**WIDGET, "properties": {"region": "r"}}]}), 'required property "metrics"'),
            (json.dumps({"widgets": [{**WIDGET, "properties": {"metrics": [["a"]]}}]}), 'required property "region"'),
            (json.dumps({"widgets": [{**WIDGET, "width": 25}]}), "width: Should be from 1 to 24"),
        )
    ),
    Rule(BUDGET, MONTHLY_BUDGET, {"name": "a:b"}, "BudgetName 'a:b'"),
    Rule(BUDGET, MONTHLY_BUDGET, {"budgetType": "MONEY"}, "got MONEY"),
    Rule(BUDGET, MONTHLY_BUDGET, {"timeUnit": "WEEKLY"}, "got WEEKLY"),
    *(
        Rule(BUDGET, {**MONTHLY_BUDGET, "limitAmount": valid}, {"limitAmount": invalid}, f"{invalid} is not an amount")
        for valid, invalid in (("100.5", "much"), (".5", "5."))
    ),
    Rule(BUDGET, MONTHLY_BUDGET, {"notifications": MONTHLY_BUDGET["notifications"] * 6}, "at most 5 notifications"),
    Rule(BUDGET, MONTHLY_BUDGET, {"notifications": [{"threshold": 80}]}, "needs a subscriber"),
    Rule(BUDGET, MONTHLY_BUDGET, {"notifications": [{"subscriberEmailAddresses": ["a"] * 11}]}, "at most 10"),
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
    *(
        Rule(ADDON, {**COREDNS, "configurationValues": valid}, {"configurationValues": invalid}, message)
        for valid, invalid, message in (
            ("{}", "replicas=2", "[$: string found, object expected]"),
            ("replicaCount: 2\nresources: {}", "null", "[$: null found, object expected]"),
            ('{"replicaCount": 2}', "[]", "[$: array found, object expected]"),
        )
    ),
    Rule(
        ACCESS_ENTRY,
        {"clusterName": "acme", "principalArn": UNKNOWN, "type": "EC2_LINUX"},
        {"type": "LINUX"},
        "got LINUX",
    ),
    Rule(
        ACCESS_ENTRY,
        {"clusterName": "acme", "principalArn": UNKNOWN, "type": "EC2_LINUX"},
        {"kubernetesGroups": ["admins"]},
        "kubernetesGroups of an access entry of type EC2_LINUX",
    ),
    Rule(INSTANCE_PROFILE, {"name": "nodes", "role": UNKNOWN}, {"name": "n" * 129}, "instanceProfileName"),
    Rule(QUEUE, {"name": "ends", "messageRetentionSeconds": 300}, {"name": "ends of nodes"}, "got ends of nodes"),
    Rule(QUEUE, {"name": "ends.fifo", "fifoQueue": True}, {"name": "e" * 81}, "1 to 80"),
    Rule(QUEUE, {"name": "ends", "messageRetentionSeconds": 300}, {"messageRetentionSeconds": 30}, "(60 - 1209600)"),
    Rule(QUEUE, {"name": "ends", "sqsManagedSseEnabled": True}, {"kmsMasterKeyId": "alias/aws/sqs"}, "conflicts with"),
    Rule(QUEUE_POLICY, {"queueUrl": UNKNOWN, "policy": policy()}, {"policy": "{"}, "parameter Policy"),
    Rule(EVENT_RULE, {"name": "ends", "eventPattern": "{}"}, {"name": "ends of nodes"}, "at 'name'"),
    Rule(EVENT_RULE, {"name": "ends", "eventPattern": "{}"}, {"eventPattern": None}, "must be specified"),
    Rule(EVENT_RULE, {"name": "ends", "eventPattern": "{}"}, {"eventPattern": "aws.ec2"}, "Event pattern is not valid"),
    Rule(DOMAIN, STUDIO, {"domainName": "-acme"}, "domainName"),
    Rule(DOMAIN, STUDIO, {"authMode": "NONE"}, "got NONE"),
    Rule(DOMAIN, STUDIO, {"appNetworkAccessType": "Open"}, "got Open"),
]


def test_a_rule_refuses_invalid_and_accepts_valid_and_unknown_inputs(account: Account) -> None:
    check_every(RULES, partial(_check_rule, account), lambda rule: f"{rule.type.split(':')[-1]} {rule.message[:40]}")


def _check_rule(account: Account, rule: Rule) -> None:
    assert account.check(rule.type, rule.valid) == ""
    invalid = {name: value for name, value in {**rule.valid, **rule.invalid}.items() if value is not None}
    assert rule.message in account.check(rule.type, invalid)
    assert account.check(rule.type, {**rule.valid, **dict.fromkeys(rule.invalid, UNKNOWN)}) == ""
