"""The object store of models and runs, and of the inference log."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.aws.bucket import Bucket, BucketArgs
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
    """A bucket with two prefixes: under one MLflow keeps its artifacts, under the other inferences expire."""

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

    def _describe(self, prefix: str) -> ArtifactsContract:
        region = self._context.settings.location
        return ArtifactsContract(
            uri=pulumi.Output.concat("s3://", self._bucket.name, "/", prefix),
            # The Python SDK reads the second, all others the first.
            environment={"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        )
