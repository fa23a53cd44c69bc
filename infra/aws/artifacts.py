"""The object store of models and runs, and of the inference log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from infra.aws.bucket import Bucket, BucketArgs
from infra.aws.iam import Role, RoleArgs, Statement, allow, trust_service
from infra.aws.keys import Key
from infra.aws.secrets import Secrets
from infra.contract import ArtifactsContract
from infra.core.component import Component, StackContext

PREFIX = "mlflow"
INFERENCES_PREFIX = "inferences"


@dataclass(frozen=True)
class ArtifactsArgs:
    context: StackContext
    secrets: Secrets


class Artifacts(Component):
    """A bucket with two prefixes: one for MLflow's artifacts, and one for inferences, which expire."""

    layer = "aws"

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._bucket = Bucket(
            name,
            BucketArgs(
                args.context,
                name_suffix="artifacts",
                key=args.secrets.key.arn,
                noncurrent_days=args.context.settings.resilience.artifact_version_days,
                expiring={f"{INFERENCES_PREFIX}/": args.context.settings.drift.retention_days},
            ),
            self.child_options(),
        )
        if args.secrets.copy_key:
            self._copy_models(f"{name}-copy", args.secrets.key, args.secrets.copy_key)
        self.register_outputs({"uri": self.contract.uri})

    @property
    def bucket_arn(self) -> pulumi.Output[str]:
        return self._bucket.arn

    @property
    def contract(self) -> ArtifactsContract:
        return self._describe(PREFIX)

    @property
    def inferences_contract(self) -> ArtifactsContract:
        return self._describe(INFERENCES_PREFIX)

    def _copy_models(self, name: str, key: Key, copy_key: Key) -> None:
        """Copy models and runs to the second region, at most 15 minutes behind; deletions are not copied."""
        resilience = self._context.settings.resilience
        copy = Bucket(
            name,
            BucketArgs(
                self._context,
                name_suffix="artifacts-copy",
                key=copy_key.arn,
                noncurrent_days=resilience.artifact_version_days,
                region=resilience.second_location,
            ),
            self.child_options(),
        )
        role = Role(
            name,
            RoleArgs(
                self._context,
                "artifacts-copy",
                trust_service("s3.amazonaws.com"),
                statements=_allow_copies(self._bucket.arn, copy.arn, key.arn, copy_key.arn),
            ),
            self.child_options(),
        )
        s3.BucketReplicationConfig(
            name,
            bucket=self._bucket.name,
            role=role.arn,
            rules=[_copy_below(f"{PREFIX}/", copy.arn, copy_key.arn)],
            opts=self.child_options(depends_on=[role, self._bucket.versioning, copy.versioning]),
        )

    def _describe(self, prefix: str) -> ArtifactsContract:
        region = self._context.settings.location
        return ArtifactsContract(
            uri=pulumi.Output.concat("s3://", self._bucket.name, "/", prefix),
            # The Python SDK reads the second variable, all other SDKs the first.
            environment={"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        )


def _allow_copies(
    source: pulumi.Output[str], copy: pulumi.Output[str], key: pulumi.Output[str], copy_key: pulumi.Output[str]
) -> Sequence[Statement]:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html"""
    read = [f"s3:GetObjectVersion{what}" for what in ("ForReplication", "Acl", "Tagging")]
    return [
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], [source]),
        allow(read, [pulumi.Output.concat(source, "/*")]),
        allow(["s3:ReplicateObject", "s3:ReplicateTags"], [pulumi.Output.concat(copy, "/*")]),
        allow(["kms:Decrypt"], [key]),
        allow(["kms:Encrypt", "kms:GenerateDataKey"], [copy_key]),
    ]


def _copy_below(prefix: str, bucket: pulumi.Output[str], key: pulumi.Output[str]) -> s3.BucketReplicationConfigRuleArgs:
    """Replicate objects below a prefix within 15 minutes; S3 has a metric for those that are late."""
    minutes = 15  # the only time that S3 offers
    return s3.BucketReplicationConfigRuleArgs(
        id="models",
        status="Enabled",
        filter=s3.BucketReplicationConfigRuleFilterArgs(prefix=prefix),
        delete_marker_replication=s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Disabled"),
        source_selection_criteria=s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
            sse_kms_encrypted_objects=s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(
                status="Enabled"
            )
        ),
        destination=s3.BucketReplicationConfigRuleDestinationArgs(
            bucket=bucket,
            encryption_configuration=s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
                replica_kms_key_id=key
            ),
            metrics=s3.BucketReplicationConfigRuleDestinationMetricsArgs(
                status="Enabled",
                event_threshold=s3.BucketReplicationConfigRuleDestinationMetricsEventThresholdArgs(minutes=minutes),
            ),
            replication_time=s3.BucketReplicationConfigRuleDestinationReplicationTimeArgs(
                status="Enabled",
                time=s3.BucketReplicationConfigRuleDestinationReplicationTimeTimeArgs(minutes=minutes),
            ),
        ),
    )
