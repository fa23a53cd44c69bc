"""The buckets of the platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_aws import s3

from infra.aws.iam import Statement, format_policy
from infra.core.component import Component, StackContext


def _no_statements(arn: pulumi.Output[str]) -> Sequence[Statement]:  # noqa: ARG001 the signature of `statements`
    return ()


@dataclass(frozen=True)
class BucketArgs:
    context: StackContext
    name_suffix: str  # of the physical name
    key: pulumi.Output[str]
    noncurrent_days: int  # days in which replaced and deleted objects can be restored
    expiration_days: int | None = None  # days until objects expire; None if they do not
    expiring: Mapping[str, int] = field(default_factory=dict)  # days until the objects under a prefix expire
    statements: Callable[[pulumi.Output[str]], Sequence[Statement]] = (
        _no_statements  # of the bucket policy, for the bucket's ARN
    )
    region: str | None = None  # if other than the stack's own


class Bucket(Component):
    """An encrypted, versioned bucket without public access, which accepts only requests over TLS."""

    layer = "aws"

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        resilience = args.context.settings.resilience
        self._bucket = s3.Bucket(
            name,
            region=args.region,
            bucket=args.context.naming.global_name(args.name_suffix, limit=63),
            # Without this, `pulumi destroy` fails if the bucket is not empty.
            force_destroy=not resilience.retain_data,
            tags=args.context.naming.tags,
            opts=self.child_options(protect=resilience.deletion_protection),
        )
        block = s3.BucketPublicAccessBlock(
            name,
            bucket=self._bucket.id,
            region=args.region,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child_options(),
        )
        self._create_encryption(name, args)
        versioning = s3.BucketVersioning(
            name,
            bucket=self._bucket.id,
            region=args.region,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self.child_options(),
        )
        self._versioning = versioning
        self._create_lifecycle(name, args, versioning)
        # S3 returns 409 OperationAborted when policy and public access block are written concurrently.
        s3.BucketPolicy(
            name,
            bucket=self._bucket.id,
            region=args.region,
            policy=format_policy([_deny_plain_http(self.arn), *args.statements(self.arn)]),
            opts=self.child_options(depends_on=[block]),
        )
        self.register_outputs({"name": self.name})

    @property
    def versioning(self) -> s3.BucketVersioning:
        """Replication of objects depends on it."""
        return self._versioning

    @property
    def name(self) -> pulumi.Output[str]:
        name: pulumi.Output[str] = self._bucket.bucket
        return name

    @property
    def arn(self) -> pulumi.Output[str]:
        """Derived from the name, which previews know, so that policies are evaluated before the bucket exists."""
        return pulumi.Output.concat("arn:aws:s3:::", self._bucket.bucket)

    def _create_encryption(self, name: str, args: BucketArgs) -> None:
        s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self._bucket.id,
            region=args.region,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="aws:kms", kms_master_key_id=args.key
                        )
                    ),
                    bucket_key_enabled=True,  # a bucket-level key rather than one call to KMS per object
                )
            ],
            opts=self.child_options(),
        )

    def _create_lifecycle(self, name: str, args: BucketArgs, versioning: s3.BucketVersioning) -> None:
        """Create the lifecycle rules, after versioning, without which there are no noncurrent versions."""
        s3.BucketLifecycleConfiguration(
            name,
            bucket=self._bucket.id,
            region=args.region,
            rules=[
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="expire",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    abort_incomplete_multipart_upload=(
                        s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(days_after_initiation=7)
                    ),
                    noncurrent_version_expiration=(
                        s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                            noncurrent_days=args.noncurrent_days
                        )
                    ),
                    expiration=(
                        s3.BucketLifecycleConfigurationRuleExpirationArgs(days=args.expiration_days)
                        if args.expiration_days
                        else None
                    ),
                ),
                *(_expire_prefix(prefix, days) for prefix, days in args.expiring.items()),
            ],
            opts=self.child_options(depends_on=[versioning]),
        )


def _expire_prefix(prefix: str, days: int) -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id=f"expire-{prefix.rstrip('/')}",
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=prefix),
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
    )


def _deny_plain_http(arn: pulumi.Output[str]) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, pulumi.Output.concat(arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
