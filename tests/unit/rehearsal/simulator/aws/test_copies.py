"""What AWS refuses when objects, or the backups of a database, are copied to a second region.

Not proven: that AWS has these rules. No test calls AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal.simulator.core.errors import CloudError
from tests.support.aws_account import BUCKET, DATABASE, POSTGRES, Account

REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
BACKUPS = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
VALID_INPUTS: Mapping[str, Mapping[str, Any]] = {
    REPLICATION: {
        "bucket": "acme-one",
        "role": "arn:aws:iam::111122223333:role/copies",
        "rules": [{"status": "Enabled", "destination": {"bucket": "arn:aws:s3:::acme-two"}}],
    },
    BACKUPS: {
        "sourceDbInstanceArn": "arn:aws:rds:eu-west-1:111122223333:db:acme-db",
        "region": "eu-central-1",
        "kmsKeyId": "arn:aws:kms:eu-central-1:111122223333:key/1234",
    },
}


def test_replication_requires_versioning_of_both_buckets(account: Account) -> None:
    for bucket in ("one", "two"):
        account.create(BUCKET, bucket=f"acme-{bucket}")
    inputs = VALID_INPUTS[REPLICATION]
    with pytest.raises(CloudError, match="Versioning must be 'Enabled' on the bucket"):
        account.create(REPLICATION, **inputs)
    account.create(VERSIONING, bucket="acme-one", versioningConfiguration={"status": "Enabled"})
    with pytest.raises(CloudError, match="Destination bucket must have versioning enabled"):
        account.create(REPLICATION, **inputs)


def test_backups_are_copied_to_another_region_and_encrypted_with_a_key_there(account: Account) -> None:
    account.create(DATABASE, **{**POSTGRES, "storageEncrypted": True})
    arn = account.get_arn(DATABASE, "acme-db")
    with pytest.raises(CloudError, match="are in one region"):
        account.create(BACKUPS, sourceDbInstanceArn=arn, region="eu-west-1")
    with pytest.raises(CloudError, match="KmsKeyId is required"):
        account.create(BACKUPS, sourceDbInstanceArn=arn, region="eu-central-1")
    with pytest.raises(CloudError, match="DBInstanceNotFound"):
        account.create(BACKUPS, sourceDbInstanceArn=f"{arn}x", region="eu-central-1", kmsKeyId="k")
