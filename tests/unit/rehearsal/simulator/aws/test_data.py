"""Who may read and write what on AWS: roles, keys, buckets, trails, databases and what is protected.

Proves the rules in rehearsal/simulator/aws that depend on what exists. That AWS has them is not proven: nothing here
has met the real cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal.simulator.aws.cloud import ACCOUNT
from rehearsal.simulator.core.errors import CloudError
from tests.support.aws_account import (
    BUCKET,
    BUCKET_POLICY,
    DATABASE,
    ITEMS,
    LOGS,
    POSTGRES,
    READ,
    ROLE,
    ROLE_POLICY,
    TABLE,
    TRAIL,
    Account,
    allow,
    policy,
)


def test_a_role_goes_after_its_policies(account: Account) -> None:
    account.role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    with pytest.raises(CloudError, match="DeleteConflict"):
        account.delete(ROLE, "nodes")
    with pytest.raises(CloudError, match="NoSuchEntity: The role with name gone"):
        account.create(ROLE_POLICY, name="p", role="gone", policy=READ)


def test_keys_open_for_those_their_policy_names(account: Account) -> None:
    logs = allow("kms:GenerateDataKey*", Principal={"Service": "logs.eu-west-1.amazonaws.com"}, Resource="*")
    account.create(LOGS, name="/acme/open", kmsKeyId=account.key(logs))
    with pytest.raises(CloudError, match=r"AccessDeniedException: The specified KMS key .*log-group:/acme/shut"):
        account.create(LOGS, name="/acme/shut", kmsKeyId=account.key())
    with pytest.raises(CloudError, match="one or more invalid principals"):
        account.key(allow("kms:Decrypt", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, Resource="*"))


def test_a_public_bucket_policy_is_blocked(account: Account) -> None:
    bucket = account.create(BUCKET, bucket="acme-artifacts")
    account.create("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket=bucket, blockPublicPolicy=True)
    everybody = policy(allow("s3:GetObject", Principal="*", Resource=f"arn:aws:s3:::{bucket}/*"))
    with pytest.raises(CloudError, match="BlockPublicPolicy"):
        account.create(BUCKET_POLICY, bucket=bucket, policy=everybody)
    with pytest.raises(CloudError, match="NoSuchBucket"):
        account.create(BUCKET_POLICY, bucket="acme-gone", policy=policy())


def test_a_trail_tries_its_bucket_its_key_and_its_role(account: Account) -> None:
    bucket = account.create(BUCKET, bucket="acme-audit")
    trail = {"name": "audit", "s3BucketName": bucket}
    with pytest.raises(CloudError, match="InsufficientS3BucketPolicyException"):
        account.create(TRAIL, **trail)
    writer, own = {"Service": "cloudtrail.amazonaws.com"}, f"arn:aws:s3:::{bucket}"
    access = allow(["s3:GetBucketAcl", "s3:PutObject"], Principal=writer, Resource=[own, f"{own}/*"])
    account.create(BUCKET_POLICY, bucket=bucket, policy=policy(access))
    with pytest.raises(CloudError, match="InsufficientEncryptionPolicyException"):
        account.create(TRAIL, **trail, kmsKeyId=account.key())
    group = f"{account.arn(LOGS, account.create(LOGS, name='/acme/audit'))}:*"
    with pytest.raises(CloudError, match="InvalidCloudWatchLogsRoleArnException"):
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
    ("type_", "inputs", "words"),
    [
        (DATABASE, {**POSTGRES, "deletionProtection": True, "skipFinalSnapshot": True}, "Cannot delete protected"),
        (DATABASE, POSTGRES, "final_snapshot_identifier is required"),
        (TABLE, {**ITEMS, "deletionProtectionEnabled": True}, "protected against deletion"),
    ],
)
def test_what_is_protected_stays(account: Account, type_: str, inputs: Mapping[str, Any], words: str) -> None:
    id_ = account.create(type_, **inputs)
    with pytest.raises(CloudError, match=words):
        account.delete(type_, id_)
