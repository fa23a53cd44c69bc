"""The store of secrets, and the key that encrypts data at rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import secretsmanager
from pulumi_random import RandomId

from infra.aws.iam import FOR_SERVICES, USE_KEY, Statement, allow
from infra.aws.keys import Key, KeyArgs
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class SecretsArgs:
    context: StackContext
    account_id: pulumi.Output[str]


class Secrets(Component):
    """Secrets in Secrets Manager, and the platform's key that encrypts them."""

    layer = "aws"

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._account_id = args.account_id
        self._key = Key(
            f"{name}-key",
            KeyArgs(
                args.context,
                "data",
                args.account_id,
                "data, images, disks and secrets",
                _node_disk_statements(args.account_id),
            ),
            self.child_options(),
        )
        self._copy_key = self._create_copy_key(f"{name}-copy-key")
        self.register_outputs({"name": self.contract.name})

    @property
    def key(self) -> Key:
        return self._key

    @property
    def copy_key(self) -> Key | None:
        """The key of data that is copied to the second region; None if nothing is copied."""
        return self._copy_key

    @property
    def contract(self) -> SecretsContract:
        region = self._context.settings.location
        return SecretsContract(
            name=pulumi.Output.from_input(self._context.naming.prefix),
            endpoint=pulumi.Output.from_input(f"https://secretsmanager.{region}.amazonaws.com"),
            # Without explicit authentication, the operator uses its pod's identity.
            store_provider={"aws": {"service": "SecretsManager", "region": region}},
            name_prefix=f"{self._context.naming.prefix}/",
        )

    @property
    def secrets_arn(self) -> pulumi.Output[str]:
        """Pattern of the ARNs of the secrets of this stack."""
        region, prefix = self._context.settings.location, self._context.naming.prefix
        return pulumi.Output.format("arn:aws:secretsmanager:{}:{}:secret:{}/*", region, self._account_id, prefix)

    def store_secret(self, name: str, value: pulumi.Input[str]) -> None:
        """Store a secret value under `<prefix>/<name>-<suffix>`."""
        # A deleted secret keeps its name for as long as it can be restored. The suffix has eight digits, because
        # Secrets Manager mistakes one of six for the suffix that it adds itself.
        suffix = RandomId(name, byte_length=4, opts=self.child_options())
        secret = secretsmanager.Secret(
            name,
            name=pulumi.Output.format("{}/{}-{}", self._context.naming.prefix, name, suffix.hex),
            kms_key_id=self._key.arn,
            replicas=self._list_replicas(),
            recovery_window_in_days=self._context.settings.resilience.secret_recovery_days,
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        secretsmanager.SecretVersion(
            name, secret_id=secret.id, secret_string=pulumi.Output.secret(value), opts=self.child_options()
        )

    def _create_copy_key(self, name: str) -> Key | None:
        region = self._context.settings.resilience.second_location
        if not region:
            return None
        arguments = KeyArgs(self._context, "copies", self._account_id, "copies of data and secrets", region=region)
        return Key(name, arguments, self.child_options())

    def _list_replicas(self) -> Sequence[secretsmanager.SecretReplicaArgs] | None:
        if self._copy_key is None:
            return None
        region = self._context.settings.resilience.second_location
        return [secretsmanager.SecretReplicaArgs(region=region, kms_key_id=self._copy_key.arn)]


def _node_disk_statements(account: pulumi.Output[str]) -> Sequence[Statement]:
    """EC2 Auto Scaling, EC2 Fleet and EC2 Spot start nodes with service-linked roles, whose policies cannot be changed.

    Without these statements every node fails at launch with `Client.InternalError: Client error on launch`. AWS creates
    a role when the account first uses its service, and KMS rejects a principal that does not exist. The roles are
    therefore named in a condition, which is also valid in an account that has not used these services yet.
    Sources: https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html,
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html,
    https://github.com/hashicorp/terraform-provider-aws/issues/28644
    """
    roles = [
        pulumi.Output.format("arn:aws:iam::{}:role/aws-service-role/{}", account, role)
        for role in (
            "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            "ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet",
            "spot.amazonaws.com/AWSServiceRoleForEC2Spot",
        )
    ]
    is_role = {"StringEquals": {"aws:PrincipalArn": roles}}
    for_disks = {**is_role, **FOR_SERVICES}
    anyone = {"AWS": "*"}
    return [allow(USE_KEY, ["*"], is_role, anyone), allow(["kms:CreateGrant"], ["*"], for_disks, anyone)]
