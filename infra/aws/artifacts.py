"""The object store of models and runs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.aws.bucket import Bucket, BucketArgs
from infra.aws.secrets import Secrets
from infra.contract import ArtifactsContract
from infra.core.component import Component, StackContext

PREFIX = "mlflow"


@dataclass(frozen=True)
class ArtifactsArgs:
    context: StackContext
    secrets: Secrets


class Artifacts(Component):
    """A bucket; MLflow's artifacts lie under one prefix of it."""

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
                keep_old_days=90 if args.context.settings.production else 30,
            ),
            self.child_options(),
        )
        self.register_outputs({"uri": self.contract.uri})

    @property
    def bucket_arn(self) -> pulumi.Output[str]:
        return self._bucket.arn

    @property
    def contract(self) -> ArtifactsContract:
        region = self._context.settings.location
        return ArtifactsContract(
            uri=pulumi.Output.concat("s3://", self._bucket.name, "/", PREFIX),
            # Python's SDK reads the second, all others the first.
            environment={"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        )
