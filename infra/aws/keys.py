"""Encryption keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import kms

from infra.aws.iam import Statement, allow, format_policy
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class KeyArgs:
    context: StackContext
    name_suffix: str  # of the physical name
    account_id: pulumi.Output[str]
    purpose: str
    statements: Sequence[Statement] = ()  # for services that act without an identity in this account
    region: str | None = None  # if other than the stack's own


class Key(Component):
    """A key that rotates every year. IAM policies grant its use, in addition to the statements of its key policy."""

    layer = "aws"

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        naming, resilience = args.context.naming, args.context.settings.resilience
        # Without this statement IAM policies have no effect on the key, and nobody could administer it.
        root = allow(["kms:*"], ["*"], principal={"AWS": pulumi.Output.format("arn:aws:iam::{}:root", args.account_id)})
        self._key = kms.Key(
            name,
            region=args.region,
            description=f"{naming.prefix}: {args.purpose}",
            enable_key_rotation=True,
            # The longest time that KMS allows: a key that is scheduled for deletion costs nothing.
            deletion_window_in_days=30,
            policy=format_policy([root, *args.statements]),
            tags=naming.tags,
            # Data that the stack leaves behind, such as a snapshot, cannot be read without its key.
            opts=self.child_options(protect=resilience.deletion_protection, retain_on_delete=resilience.retain_data),
        )
        kms.Alias(
            name,
            region=args.region,
            name=f"alias/{naming.regional_name(args.name_suffix)}",
            target_key_id=self._key.key_id,
            opts=self.child_options(),
        )
        self.register_outputs({"arn": self.arn})

    @property
    def arn(self) -> pulumi.Output[str]:
        arn: pulumi.Output[str] = self._key.arn
        return arn
