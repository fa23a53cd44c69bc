"""What AWS refuses because of existing resources: roles, keys, buckets, trails, databases, and protected resources.

Not proven: that AWS has these rules. No test calls AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal.simulator.aws.cloud import ACCOUNT
from rehearsal.simulator.core.errors import CloudError
from tests.support.aws_account import (
    AUTOSCALING,
    BUCKET,
    BUCKET_POLICY,
    DATABASE,
    EVENT_RULE,
    EVENT_TARGET,
    FILTER,
    INSTANCE_PROFILE,
    ITEMS,
    LOGS,
    METRIC_FILTER,
    POSTGRES,
    QUEUE,
    QUEUE_POLICY,
    READ,
    ROLE,
    ROLE_POLICY,
    TABLE,
    TRAIL,
    TRUST,
    Account,
    allow,
    policy,
)


def test_a_metric_is_counted_in_a_log_group_that_exists(account: Account) -> None:
    with pytest.raises(CloudError, match="log group does not exist"):
        account.create(METRIC_FILTER, **FILTER)
    account.create(LOGS, name="/acme/a")
    account.create(METRIC_FILTER, **FILTER)


def test_a_role_with_policies_cannot_be_deleted(account: Account) -> None:
    account.create_role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    with pytest.raises(CloudError, match="DeleteConflict"):
        account.delete(ROLE, "nodes")
    with pytest.raises(CloudError, match="NoSuchEntity: The role with name gone"):
        account.create(ROLE_POLICY, name="p", role="gone", policy=READ)


def test_a_role_in_an_instance_profile_cannot_be_deleted(account: Account) -> None:
    with pytest.raises(CloudError, match="NoSuchEntity: The role with name nodes"):
        account.create(INSTANCE_PROFILE, name="nodes", role="nodes")
    account.create(ROLE, name="nodes", assumeRolePolicy=TRUST)
    account.create(INSTANCE_PROFILE, name="nodes", role="nodes")
    with pytest.raises(CloudError, match="must remove roles from instance profile first"):
        account.delete(ROLE, "nodes")


def test_an_event_rule_sends_to_a_queue_until_its_target_is_gone(account: Account) -> None:
    url = account.create(QUEUE, name="ends")
    account.create(QUEUE_POLICY, queueUrl=url, policy=policy())
    with pytest.raises(CloudError, match="NonExistentQueue"):
        account.create(QUEUE_POLICY, queueUrl=f"{url}-of-nodes", policy=policy())
    target = {"rule": "ends", "arn": account.get_arn(QUEUE, url)}
    with pytest.raises(CloudError, match="Rule ends does not exist"):
        account.create(EVENT_TARGET, **target)
    account.create(EVENT_RULE, name="ends", eventPattern="{}")
    id_ = account.create(EVENT_TARGET, **target)
    with pytest.raises(CloudError, match="can't be deleted since it has targets"):
        account.delete(EVENT_RULE, "ends")
    account.delete(EVENT_TARGET, id_)
    account.delete(EVENT_RULE, "ends")


def test_a_service_needs_the_permission_of_the_key_policy(account: Account) -> None:
    logs = allow("kms:GenerateDataKey*", Principal={"Service": "logs.eu-west-1.amazonaws.com"}, Resource="*")
    account.create(LOGS, name="/acme/allowed", kmsKeyId=account.create_key(logs))
    with pytest.raises(CloudError, match=r"AccessDeniedException: The specified KMS key .*log-group:/acme/refused"):
        account.create(LOGS, name="/acme/refused", kmsKeyId=account.create_key())
    for role in (f"arn:aws:iam::{ACCOUNT}:role/nobody", AUTOSCALING):  # a new account has no service-linked roles
        with pytest.raises(CloudError, match="one or more invalid principals"):
            account.create_key(allow("kms:Decrypt", Principal={"AWS": role}, Resource="*"))


def test_a_public_bucket_policy_is_refused(account: Account) -> None:
    bucket = account.create(BUCKET, bucket="acme-artifacts")
    account.create("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket=bucket, blockPublicPolicy=True)
    public = policy(allow("s3:GetObject", Principal="*", Resource=f"arn:aws:s3:::{bucket}/*"))
    with pytest.raises(CloudError, match="BlockPublicPolicy"):
        account.create(BUCKET_POLICY, bucket=bucket, policy=public)
    with pytest.raises(CloudError, match="NoSuchBucket"):
        account.create(BUCKET_POLICY, bucket="acme-gone", policy=policy())


def test_a_trail_needs_access_to_its_bucket_key_and_log_group(account: Account) -> None:
    bucket = account.create(BUCKET, bucket="acme-audit")
    trail = {"name": "audit", "s3BucketName": bucket}
    with pytest.raises(CloudError, match="InsufficientS3BucketPolicyException"):
        account.create(TRAIL, **trail)
    principal, bucket_arn = {"Service": "cloudtrail.amazonaws.com"}, f"arn:aws:s3:::{bucket}"
    access = allow(["s3:GetBucketAcl", "s3:PutObject"], Principal=principal, Resource=[bucket_arn, f"{bucket_arn}/*"])
    account.create(BUCKET_POLICY, bucket=bucket, policy=policy(access))
    with pytest.raises(CloudError, match="InsufficientEncryptionPolicyException"):
        account.create(TRAIL, **trail, kmsKeyId=account.create_key())
    group = f"{account.get_arn(LOGS, account.create(LOGS, name='/acme/audit'))}:*"
    with pytest.raises(CloudError, match="InvalidCloudWatchLogsRoleArnException"):
        account.create(
            TRAIL,
            **trail,
            cloudWatchLogsGroupArn=group,
            cloudWatchLogsRoleArn=account.create_role("other", "ec2.amazonaws.com"),
        )
    account.create(
        TRAIL,
        **trail,
        kmsKeyId=account.create_key(allow("kms:GenerateDataKey*", Principal=principal, Resource="*")),
        cloudWatchLogsGroupArn=group,
        cloudWatchLogsRoleArn=account.create_role("trail", "cloudtrail.amazonaws.com"),
    )


def test_a_database_needs_two_zones_and_parameters_of_its_version(account: Account) -> None:
    vpc = account.create_vpc()
    first, second = account.create_subnets(vpc)
    with pytest.raises(CloudError, match="Current AZ coverage: eu-west-1a"):
        account.create("aws:rds/subnetGroup:SubnetGroup", name="one", subnetIds=[first])
    account.create("aws:rds/subnetGroup:SubnetGroup", name="two", subnetIds=[first, second])
    account.create("aws:rds/parameterGroup:ParameterGroup", name="old", family="postgres15")
    database = {**POSTGRES, "engineVersion": "16", "dbSubnetGroupName": "two", "skipFinalSnapshot": True}
    with pytest.raises(CloudError, match="DBParameterGroupFamily postgres16"):
        account.create(DATABASE, **database, parameterGroupName="old")
    with pytest.raises(CloudError, match="DBSubnetGroupNotFoundFault"):
        account.create(DATABASE, **{**database, "dbSubnetGroupName": "three"})
    id_ = account.create(DATABASE, **database)
    with pytest.raises(CloudError, match="database instance: acme-db is still using it"):
        account.delete("aws:rds/subnetGroup:SubnetGroup", "two")
    account.delete(DATABASE, id_)


@pytest.mark.parametrize(
    ("type_", "inputs", "message"),
    [
        (DATABASE, {**POSTGRES, "deletionProtection": True, "skipFinalSnapshot": True}, "Cannot delete protected"),
        (DATABASE, POSTGRES, "final_snapshot_identifier is required"),
        (TABLE, {**ITEMS, "deletionProtectionEnabled": True}, "protected against deletion"),
    ],
)
def test_a_protected_resource_cannot_be_deleted(
    account: Account, type_: str, inputs: Mapping[str, Any], message: str
) -> None:
    id_ = account.create(type_, **inputs)
    with pytest.raises(CloudError, match=message):
        account.delete(type_, id_)
