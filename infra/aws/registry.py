"""The container registry of the platform's images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ecr

from infra.aws.secrets import Secrets
from infra.contract import RegistryContract
from infra.core.component import Component, StackContext

# ECR requires a repository to exist before the first push.
_IMAGES = ("training", "serving", "promotion", "experiment", "drift")


@dataclass(frozen=True)
class RegistryArgs:
    context: StackContext
    secrets: Secrets


class Registry(Component):
    """Private repositories with immutable tags, which scan images on push."""

    layer = "aws"

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._repositories = [self._create_repository(f"{name}-{image}", image, args) for image in _IMAGES]
        self.register_outputs({"server": self.contract.server})

    @property
    def repository_arns(self) -> Sequence[pulumi.Output[str]]:
        return [repository.arn for repository in self._repositories]

    @property
    def contract(self) -> RegistryContract:
        url = self._repositories[0].repository_url
        return RegistryContract(
            server=url.apply(lambda url: str(url).partition("/")[0]),
            image_prefix=url.apply(lambda url: f"{str(url).rpartition('/')[0]}/"),
        )

    def _create_repository(self, name: str, image: str, args: RegistryArgs) -> ecr.Repository:
        repository = ecr.Repository(
            name,
            name=f"{args.context.naming.prefix}/{image}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=args.secrets.key.arn)
            ],
            force_delete=not args.context.settings.resilience.retain_data,
            tags=args.context.naming.tags,
            opts=self.child_options(),
        )
        ecr.LifecyclePolicy(
            name, repository=repository.name, policy=_expire_untagged_images(), opts=self.child_options()
        )
        return repository


def _expire_untagged_images() -> str:
    """Expire untagged images: they are left over from failed pushes, while a rollback may need any tagged image."""
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})
