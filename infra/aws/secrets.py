"""The key of all data, and the store of secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import secretsmanager

from infra.aws.iam import Statement, allow
from infra.aws.keys import Key, KeyArgs
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class SecretsArgs:
    context: StackContext
    account: pulumi.Output[str]


class Secrets(Component):
    """A key for data at rest, and secrets kept under it."""

    layer = "aws"

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._key = Key(
            f"{name}-key",
            KeyArgs(args.context, "data", args.account, "data, images, disks and secrets", _node_disks(args.account)),
            self.child_options(),
        )
        self.register_outputs({"name": self.contract.name})

    def store_secret(self, name: str, value: pulumi.Input[str]) -> None:
        """Keep a secret value under `<prefix>/<name>`."""
        secret = secretsmanager.Secret(
            name,
            name=f"{self._context.naming.prefix}/{name}",
            kms_key_id=self._key.arn,
            # The shortest and the longest that Secrets Manager allows: until then the name stays taken.
            recovery_window_in_days=30 if self._context.settings.production else 7,
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        secretsmanager.SecretVersion(
            name, secret_id=secret.id, secret_string=pulumi.Output.secret(value), opts=self.child_options()
        )

    @property
    def key(self) -> Key:
        return self._key

    @property
    def contract(self) -> SecretsContract:
        return SecretsContract(
            name=pulumi.Output.from_input(self._context.naming.prefix),
            endpoint=pulumi.Output.from_input(
                f"https://secretsmanager.{self._context.settings.location}.amazonaws.com"
            ),
        )


def _node_disks(account: pulumi.Output[str]) -> Sequence[Statement]:
    """EC2 Auto Scaling starts the nodes under its service-linked role, which no IAM policy of ours reaches.

    Without this every node dies at launch with `Client.InternalError: Client error on launch`. KMS refuses a
    policy that names a role which does not exist: an account that never used Auto Scaling has to make it first
    with `aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com`.
    Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
    """
    service = "autoscaling.amazonaws.com"
    role = {
        "AWS": pulumi.Output.format(
            "arn:aws:iam::{}:role/aws-service-role/{}/AWSServiceRoleForAutoScaling", account, service
        )
    }
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    return [
        allow(use, ["*"], principal=role),
        allow(["kms:CreateGrant"], ["*"], {"Bool": {"kms:GrantIsForAWSResource": "true"}}, role),
    ]
