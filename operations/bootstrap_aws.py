"""States and backups on AWS: a key, and a bucket with versions that it encrypts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from operations.cloud_cli import ABSENT, CloudCli, Part, State

_KEPT_DAYS = 90  # of replaced and deleted versions
_BLOCK = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"


def list_parts(cli: CloudCli, bucket: str, region: str) -> Sequence[Part]:
    """The parts, in the order in which they depend on each other."""
    place = _Place(cli, bucket, region)
    return (
        Part("key", f"KMS key alias/{bucket}, rotated each year", place.find_key, place.create_key),
        Part("bucket", f"S3 bucket {bucket} in {region}", place.find_bucket, place.create_bucket),
        Part(
            "versions",
            f"of every object, replaced ones for {_KEPT_DAYS} days",
            place.find_versions,
            place.keep_versions,
        ),
        Part("encryption", f"with the key alias/{bucket}", place.find_encryption, place.encrypt),
        Part("access", "no public access, and TLS only", place.find_block, place.block_access),
    )


@dataclass(frozen=True)
class _Place:
    cli: CloudCli
    bucket: str
    region: str

    def find_key(self) -> State:
        described = self._find(("NotFoundException",), "kms", "describe-key", "--key-id", self._alias)
        if described is None:
            return ABSENT
        key = described["KeyMetadata"]
        fault = "" if key["KeyState"] == "Enabled" else f"it is {key['KeyState']}"
        return State(is_there=True, fault=fault, description=key["Arn"])

    def create_key(self) -> None:
        created = self._call("kms", "create-key", "--description", f"Pulumi states and backups in {self.bucket}")
        key = created["KeyMetadata"]["KeyId"]
        self._call("kms", "enable-key-rotation", "--key-id", key)
        self._call("kms", "create-alias", "--alias-name", self._alias, "--target-key-id", key)

    def find_bucket(self) -> State:
        located = self._ask_bucket("get-bucket-location", ("NoSuchBucket",))
        if located is None:
            return ABSENT
        region = located.get("LocationConstraint") or "us-east-1"
        fault = "" if region == self.region else f"it is in {region}, not in {self.region}"
        return State(is_there=True, fault=fault)

    def create_bucket(self) -> None:
        # us-east-1 is the default and not a valid constraint.
        # Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        place = (
            [] if self.region == "us-east-1" else [f"--create-bucket-configuration=LocationConstraint={self.region}"]
        )
        self._call("s3api", "create-bucket", "--bucket", self.bucket, *place)

    def find_versions(self) -> State:
        found = self._ask_bucket("get-bucket-versioning", ("NoSuchBucket",)) or {}
        status = found.get("Status")
        fault = "versioning was suspended" if status == "Suspended" else ""
        return State(is_there=status is not None, fault=fault)

    def keep_versions(self) -> None:
        self._set("put-bucket-versioning", "--versioning-configuration", "Status=Enabled")
        rule = {
            "ID": "old-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": _KEPT_DAYS},
        }
        self._set("put-bucket-lifecycle-configuration", "--lifecycle-configuration", json.dumps({"Rules": [rule]}))

    def find_encryption(self) -> State:
        """S3 encrypts every bucket with its own keys until another key is configured."""
        absent = ("NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError")
        found = self._ask_bucket("get-bucket-encryption", absent)
        rules = found["ServerSideEncryptionConfiguration"]["Rules"] if found else []
        default = rules[0]["ApplyServerSideEncryptionByDefault"] if rules else {}
        key = default.get("KMSMasterKeyID", "")
        if not key:
            return ABSENT
        own = self.find_key().description
        is_own = key.endswith(self._alias) or (own and key in (own, own.rpartition("/")[2]))
        return State(is_there=True, fault="" if is_own else f"it uses another key, {key}")

    def encrypt(self) -> None:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.find_key().description}
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
        value = json.dumps({"Rules": [rule]})
        self._set("put-bucket-encryption", "--server-side-encryption-configuration", value)

    def find_block(self) -> State:
        found = self._ask_bucket("get-public-access-block", ("NoSuchBucket", "NoSuchPublicAccessBlockConfiguration"))
        if found is None:
            return ABSENT
        is_blocked = all(found["PublicAccessBlockConfiguration"].values())
        return State(is_there=True, fault="" if is_blocked else "public access is not blocked completely")

    def block_access(self) -> None:
        self._set("put-public-access-block", "--public-access-block-configuration", _BLOCK)
        arn = f"arn:aws:s3:::{self.bucket}"
        statement = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._set("put-bucket-policy", "--policy", policy)

    @property
    def _alias(self) -> str:
        return f"alias/{self.bucket}"

    def _ask_bucket(self, action: str, absent: tuple[str, ...]) -> Any:
        return self._find(absent, "s3api", action, "--bucket", self.bucket)

    def _set(self, action: str, option: str, value: str) -> None:
        self._call("s3api", action, "--bucket", self.bucket, option, value)

    def _find(self, absent: tuple[str, ...], *arguments: str) -> Any:
        return self.cli.find(absent, "aws", *arguments, "--region", self.region, "--output", "json")

    def _call(self, *arguments: str) -> Any:
        return self.cli.call("aws", *arguments, "--region", self.region, "--output", "json")
