"""Encryption keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import kms

from infra.aws.iam import Statement, allow, document
from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class KeyArgs:
    context: StackContext
    name_suffix: str  # of the physical name
    account: pulumi.Output[str]
    purpose: str
    statements: Sequence[Statement] = ()  # for services that act without an identity of this account


class Key(Component):
    """A key that rotates every year; who may use it is said in IAM, beside what its own policy adds."""

    layer = "aws"

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        naming = args.context.naming
        # Without this statement IAM policies have no say and the key would be lost to everybody.
        root = allow(["kms:*"], ["*"], principal={"AWS": pulumi.Output.format("arn:aws:iam::{}:root", args.account)})
        self._key = kms.Key(
            name,
            description=f"{naming.prefix}: {args.purpose}",
            enable_key_rotation=True,
            # The longest that KMS waits: a key that is about to go costs nothing, a lost one costs the data.
            deletion_window_in_days=30,
            policy=document([root, *args.statements]),
            tags=naming.tags,
            opts=self.child_options(protect=args.context.settings.production),
        )
        kms.Alias(
            name,
            name=f"alias/{naming.regional_name(args.name_suffix)}",
            target_key_id=self._key.key_id,
            opts=self.child_options(),
        )
        self.register_outputs({"arn": self.arn})

    @property
    def arn(self) -> pulumi.Output[str]:
        arn: pulumi.Output[str] = self._key.arn
        return arn
