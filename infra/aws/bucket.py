"""A bucket that nobody outside the account can read, whatever else is misconfigured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from infra.aws.iam import Statement, document
from infra.core.component import Component, StackContext


def _no_statements(arn: pulumi.Output[str]) -> Sequence[Statement]:  # noqa: ARG001 the signature of `statements`
    return ()


@dataclass(frozen=True)
class BucketArgs:
    context: StackContext
    name_suffix: str  # of the physical name
    key: pulumi.Output[str]
    keep_old_days: int  # how long overwritten and deleted objects can be brought back
    keep_days: int | None = None  # how long objects live; None for ever
    statements: Callable[[pulumi.Output[str]], Sequence[Statement]] = _no_statements  # from the bucket's ARN


class Bucket(Component):
    """An encrypted, versioned, private bucket that answers over TLS only."""

    layer = "aws"

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        production = args.context.settings.production
        self._bucket = s3.Bucket(
            name,
            bucket=args.context.naming.global_name(args.name_suffix, limit=63),
            # A versioned bucket with objects in it would stop the destroy of a throw-away stack.
            force_destroy=not production,
            tags=args.context.naming.tags,
            opts=self.child_options(protect=production),
        )
        block = s3.BucketPublicAccessBlock(
            name,
            bucket=self._bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child_options(),
        )
        self._encrypt(name, args.key)
        versioning = s3.BucketVersioning(
            name,
            bucket=self._bucket.id,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self.child_options(),
        )
        self._expire(name, args, versioning)
        # S3 answers 409 OperationAborted when policy and public access block are written at the same time.
        s3.BucketPolicy(
            name,
            bucket=self._bucket.id,
            policy=document([_tls_only(self.arn), *args.statements(self.arn)]),
            opts=self.child_options(depends_on=[block]),
        )
        self.register_outputs({"name": self.name})

    def _encrypt(self, name: str, key: pulumi.Output[str]) -> None:
        s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self._bucket.id,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="aws:kms", kms_master_key_id=key
                        )
                    ),
                    bucket_key_enabled=True,  # one call to KMS per bucket and hour instead of one per object
                )
            ],
            opts=self.child_options(),
        )

    def _expire(self, name: str, args: BucketArgs, versioning: s3.BucketVersioning) -> None:
        """A noncurrent version exists only where versioning is on, so it comes first."""
        s3.BucketLifecycleConfiguration(
            name,
            bucket=self._bucket.id,
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
                            noncurrent_days=args.keep_old_days
                        )
                    ),
                    expiration=(
                        s3.BucketLifecycleConfigurationRuleExpirationArgs(days=args.keep_days)
                        if args.keep_days
                        else None
                    ),
                )
            ],
            opts=self.child_options(depends_on=[versioning]),
        )

    @property
    def name(self) -> pulumi.Output[str]:
        name: pulumi.Output[str] = self._bucket.bucket
        return name

    @property
    def arn(self) -> pulumi.Output[str]:
        """Made from the name, which previews know, so that policies about the bucket can be judged before it exists."""
        return pulumi.Output.concat("arn:aws:s3:::", self._bucket.bucket)


def _tls_only(arn: pulumi.Output[str]) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, pulumi.Output.concat(arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
