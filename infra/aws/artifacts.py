"""The object store of models and runs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra import foundation
from infra.aws.bucket import Bucket, BucketArgs
from infra.aws.secrets import Secrets
from infra.component import Component, Site

PREFIX = "mlflow"


@dataclass(frozen=True)
class ArtifactsArgs:
    site: Site
    secrets: Secrets


class Artifacts(Component):
    """A bucket; MLflow's artifacts lie under one prefix of it."""

    layer = "aws"

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._site = args.site
        self._bucket = Bucket(
            name,
            BucketArgs(
                args.site,
                part="artifacts",
                key=args.secrets.key.arn,
                keep_old_days=90 if args.site.settings.production else 30,
            ),
            self.child(),
        )
        self.finish({"uri": self.part.uri})

    @property
    def bucket_arn(self) -> pulumi.Output[str]:
        return self._bucket.arn

    @property
    def part(self) -> foundation.Artifacts:
        region = self._site.settings.location
        return foundation.Artifacts(
            uri=pulumi.Output.concat("s3://", self._bucket.name, "/", PREFIX),
            # Python's SDK reads the second, all others the first.
            environment={"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
        )
