"""Logs and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, sns

from infra.aws.iam import USE_KEY, Statement, allow
from infra.aws.keys import Key, KeyArgs
from infra.core.component import Component, StackContext

# Retention periods of CloudWatch in days, up to the maximum of the setting.
# Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_RETENTIONS = (30, 60, 90, 120, 150, 180, 365, 400, 545, 731)


@dataclass(frozen=True)
class ObservabilityArgs:
    context: StackContext
    account_id: pulumi.Output[str]


class Observability(Component):
    """Log groups with their own key, which cannot decrypt other data, and a topic that receives alerts."""

    layer = "aws"

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._key = Key(
            f"{name}-key",
            KeyArgs(
                args.context,
                "logs",
                args.account_id,
                "logs, audit trail and alerts",
                self._key_statements(args.account_id),
            ),
            self.child_options(),
        )
        self._topics = self._create_alert_topic(f"{name}-alerts", args.context.settings.telemetry.alert_email)
        self.register_outputs({"key": self._key.arn})

    @property
    def key(self) -> Key:
        return self._key

    @property
    def alert_receivers(self) -> Sequence[pulumi.Output[str]]:
        """ARNs of the topics that receive alerts; empty without an address for alerts."""
        return [topic.arn for topic in self._topics]

    def create_log_group(self, name: str, path: str, opts: pulumi.ResourceOptions) -> cloudwatch.LogGroup:
        """A log group with the stack's key and retention.

        Services that write logs create missing log groups themselves, unencrypted and without expiry, so their groups
        are created first. A group that EKS or RDS has created again, for the last logs of an earlier stack of the same
        name, has to be deleted before.
        Source: https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2763

        Raises pulumi.RunError if there is such a group.
        """
        self._require_no_orphan(path)
        days = self._context.settings.telemetry.retention_days
        return cloudwatch.LogGroup(
            name,
            name=path,
            kms_key_id=self._key.arn,
            retention_in_days=next(retention for retention in _RETENTIONS if retention >= days),
            tags=self._context.naming.tags,
            opts=opts,
        )

    def _require_no_orphan(self, path: str) -> None:
        invoke = pulumi.InvokeOptions(parent=self)
        if path not in cloudwatch.get_log_groups(log_group_name_prefix=path, opts=invoke).log_group_names:
            return
        if not cloudwatch.get_log_group(name=path, opts=invoke).kms_key_id:
            region = self._context.settings.location
            raise pulumi.RunError(
                f"The log group {path} already exists, without a key of this stack: an AWS service created it for "
                "the last logs of an earlier stack of the same name. "
                f"Remedy: aws logs delete-log-group --log-group-name {path} --region {region}"
            )

    def _key_statements(self, account: pulumi.Output[str]) -> Sequence[Statement]:
        """Services that use the key as themselves, each restricted to resources of this account."""
        region = self._context.settings.location
        groups = pulumi.Output.format("arn:aws:logs:{}:{}:log-group:*", region, account)
        trails = pulumi.Output.format("arn:aws:cloudtrail:{}:{}:trail/*", region, account)
        return [
            allow(
                USE_KEY,
                ["*"],
                {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
                {"Service": f"logs.{region}.amazonaws.com"},
            ),
            allow(
                ["kms:GenerateDataKey*", "kms:DescribeKey"],
                ["*"],
                {"ArnLike": {"aws:SourceArn": trails}},
                {"Service": "cloudtrail.amazonaws.com"},
            ),
            allow(
                ["kms:Decrypt", "kms:GenerateDataKey*"],
                ["*"],
                {"StringEquals": {"aws:SourceAccount": account}},
                {"Service": "cloudwatch.amazonaws.com"},
            ),
        ]

    def _create_alert_topic(self, name: str, email: str) -> Sequence[sns.Topic]:
        if not email:
            return ()
        topic = sns.Topic(
            name,
            name=self._context.naming.regional_name("alerts", limit=256),
            kms_master_key_id=self._key.arn,
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        sns.TopicSubscription(name, topic=topic.arn, protocol="email", endpoint=email, opts=self.child_options())
        return (topic,)
