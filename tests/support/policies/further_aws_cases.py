"""Cases of Amazon SNS, SQS and CloudWatch Logs, and of IAM's escalations."""

import json
from typing import Any, Final

from tests.support.policies.aws_account_cases import identity_policy
from tests.support.policies.aws_cases import allow
from tests.support.policies.cases import UNKNOWN_TEXT, Cases, property_cases, resource_cases

KEY: Final = "arn:aws:kms:eu-west-1:111122223333:key/1234"
TOPIC, TOPIC_POLICY = "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy"
QUEUE, QUEUE_POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"
GROUP, STREAM = "aws:cloudwatch/logGroup:LogGroup", "aws:cloudwatch/logStream:LogStream"
NODE_GROUP, ADDON = "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
SECRET, SECRET_VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
DATABASE, SUBNETS = "aws:rds/instance:Instance", "aws:rds/subnetGroup:SubnetGroup"


def resource_policy(principal: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sns:Publish", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def open_ssh(**access: Any) -> dict[str, Any]:
    return {"remoteAccess": {"ec2SshKey": "operators", **access}}


PRINCIPALS: Final = ({"Service": "events.amazonaws.com"}, {"AWS": "arn:aws:iam::111122223333:root"})

CASES: dict[str, Cases] = {
    "aws-sns-kms": property_cases(
        TOPIC,
        "kmsMasterKeyId",
        good=(KEY,),
        bad=("alias/aws/sns", ""),
        absent="fails",
        unknown="passes",
        other=TOPIC_POLICY,
    ),
    "aws-sns-policy-principal": property_cases(
        (TOPIC, TOPIC_POLICY),
        "policy",
        good=tuple(map(resource_policy, PRINCIPALS)),
        bad=(resource_policy("*"), resource_policy({"AWS": "*"})),
        absent="passes",
        other=QUEUE,
    ),
    "aws-sqs-encryption": resource_cases(
        QUEUE,
        good=[{"sqsManagedSseEnabled": True}, {"kmsMasterKeyId": KEY}, {"kmsMasterKeyId": "alias/aws/sqs"}],
        bad=[{"sqsManagedSseEnabled": False}, {"kmsMasterKeyId": ""}],
        absent=("fails", {}),
        unknown=("undecided", {"sqsManagedSseEnabled": UNKNOWN_TEXT}),
        other=QUEUE_POLICY,
    ),
    "aws-sqs-policy-principal": property_cases(
        (QUEUE, QUEUE_POLICY),
        "policy",
        good=tuple(map(resource_policy, PRINCIPALS)),
        bad=(resource_policy("*"), resource_policy({"AWS": "*"})),
        absent="passes",
        other=TOPIC,
    ),
    "aws-logs-kms": property_cases(
        GROUP,
        "kmsKeyId",
        good=(KEY,),
        bad=("",),
        absent="fails",
        unknown="passes",
        other=STREAM,
    ),
    "aws-logs-retention": property_cases(
        GROUP, "retentionInDays", good=(1, 30, 365), bad=(0,), absent="fails", other=STREAM
    ),
    "aws-eks-node-ssh": resource_cases(
        NODE_GROUP,
        good=[{"remoteAccess": {}}, open_ssh(sourceSecurityGroupIds=["sg-1"])],
        bad=[open_ssh(), open_ssh(sourceSecurityGroupIds=[])],
        absent=("passes", {}),
        unknown=("undecided", open_ssh(sourceSecurityGroupIds=UNKNOWN_TEXT)),
        other=ADDON,
    ),
    "aws-secretsmanager-recovery": property_cases(
        SECRET, "recoveryWindowInDays", good=(7, 30), bad=(0,), absent="passes", other=SECRET_VERSION
    ),
    "aws-rds-iam-authentication": property_cases(
        DATABASE, "iamDatabaseAuthenticationEnabled", good=(True,), bad=(False,), absent="fails", other=SUBNETS
    ),
    "aws-iam-escalation": identity_policy(
        good=(
            allow("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/models-*"),
            allow(["iam:Get*", "iam:List*"]),
            allow("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/${aws:username}"),
        ),
        bad=(
            *(allow(f"iam:{action}") for action in ("AttachRolePolicy", "CreateAccessKey", "AddUserToGroup", "*")),
            *(allow("iam:Put*", f"arn:aws:iam::*:{kind}/*") for kind in ("role", "user", "group")),
            allow("iam:CreateLoginProfile", "arn:aws:iam::111122223333:user/*"),
            allow("iam:SetDefaultPolicyVersion", "arn:aws:iam::111122223333:policy/*"),
        ),
    ),
    "aws-iam-kms-decrypt": identity_policy(
        good=(allow("kms:Decrypt", KEY), allow("kms:DescribeKey")),
        bad=(allow("kms:Decrypt"), allow("kms:De*", "arn:aws:kms:*:111122223333:key/*"), allow("kms:*")),
    ),
}
