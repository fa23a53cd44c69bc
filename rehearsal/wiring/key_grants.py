"""Checks that readers of an encrypted store may use its key: on AWS, stores use the key with the reader's permissions.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html and
https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from kernel.iam import Statement
from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import ROLE, list_statements, role_allows
from rehearsal.wiring.graph import Wiring, describe

_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_TABLE, _SECRET = "aws:dynamodb/table:Table", "aws:secretsmanager/secret:Secret"
# The actions on the key that reading and writing need, keyed by the action on the store.
_NEEDS = {
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
    "s3:AbortMultipartUpload": ("kms:Decrypt",),
    "dynamodb:GetItem": ("kms:Decrypt",),
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
}


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    stores = list(_list_encrypted(wiring))
    for role in wiring.clouds.all(ROLE):
        lacking = {
            (key, need, store)
            for statement in list_statements(wiring, role)
            for arn, key, store in stores
            for action, needs in _NEEDS.items()
            if _grants(statement, action, arn)
            for need in needs
            if not role_allows(wiring, role, need, key)
        }
        for key, need, store in sorted(lacking):
            reason = f"it may use {store}, but not the key {key} that encrypts it: {need} is missing"
            yield Problem(describe(role), reason, "allow the role to use the key")


def _list_encrypted(wiring: Wiring) -> Iterator[tuple[str, str, str]]:
    """For each encrypted store: the ARN of something in it, the ARN of its key, and its name."""
    for configuration in wiring.clouds.all(_ENCRYPTION):
        bucket = str(configuration.inputs.get("bucket"))
        for rule in as_list(configuration.inputs.get("rules")):
            if key := look_up(rule, "applyServerSideEncryptionByDefault.kmsMasterKeyId", None):
                yield f"arn:aws:s3:::{bucket}/", str(key), f"the bucket {bucket}"
    for table in wiring.clouds.all(_TABLE):
        if key := look_up(table.inputs, "serverSideEncryption.kmsKeyArn", None):
            yield str(table.outputs.get("arn")), str(key), f"the table {table.id}"
    for secret in wiring.clouds.all(_SECRET):
        if key := secret.inputs.get("kmsKeyId"):
            yield str(secret.outputs.get("arn")), _find_arn(wiring, str(key)), f"the secret {_name(secret)}"


def _find_arn(wiring: Wiring, key: str) -> str:
    found = wiring.clouds.find(key)
    return str(found.outputs.get("arn")) if found else key


def _name(secret: Resource) -> str:
    return str(secret.inputs.get("name"))


def _grants(statement: Statement, action: str, arn: str) -> bool:
    if not statement.is_allow or statement.names_action(action) is not True:
        return False
    patterns = [str(pattern) for pattern in statement.resources]
    # For a bucket, a grant on objects under any prefix counts.
    return any(pattern.startswith(arn) if arn.endswith("/") else fnmatchcase(arn, pattern) for pattern in patterns)
