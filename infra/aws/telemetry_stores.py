"""The object stores of logs and traces."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.aws.bucket import Bucket, BucketArgs
from infra.aws.secrets import Secrets
from infra.contract import S3Bucket, TelemetryStoresContract
from infra.core.component import Component, StackContext

LOGS, TRACES = "logs", "traces"
_NONCURRENT_DAYS = 7
# Loki and Tempo delete objects that are older than the retention period, using their own indexes, some hours after its
# end. Objects that still exist after a week are no longer in any index.
_GRACE_DAYS = 7


@dataclass(frozen=True)
class TelemetryStoresArgs:
    context: StackContext
    secrets: Secrets


class TelemetryStores(Component):
    """One bucket for logs and one for traces."""

    layer = "aws"

    def __init__(self, name: str, args: TelemetryStoresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._buckets = {kind: self._create_bucket(f"{name}-{kind}", kind) for kind in (LOGS, TRACES)}
        self.register_outputs({kind: bucket.name for kind, bucket in self._buckets.items()})

    @property
    def contract(self) -> TelemetryStoresContract:
        return TelemetryStoresContract(logs=self._describe(LOGS), traces=self._describe(TRACES))

    def bucket_arn(self, kind: str) -> pulumi.Output[str]:
        """ARN of the bucket of logs or traces."""
        return self._buckets[kind].arn

    def _describe(self, kind: str) -> S3Bucket:
        region = self._args.context.settings.location
        return S3Bucket(self._buckets[kind].name, region, f"s3.{region}.amazonaws.com")

    def _create_bucket(self, name: str, kind: str) -> Bucket:
        return Bucket(
            name,
            BucketArgs(
                self._args.context,
                name_suffix=kind,
                key=self._args.secrets.key.arn,
                noncurrent_days=_NONCURRENT_DAYS,
                expiration_days=self._args.context.settings.telemetry.retention_days + _GRACE_DAYS,
            ),
            self.child_options(),
        )
