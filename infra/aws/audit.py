"""The audit trail: API calls in the account, and flow logs of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudtrail, cloudwatch, ec2

from infra.aws.artifacts import Artifacts
from infra.aws.bucket import Bucket, BucketArgs
from infra.aws.experiments import Experiments
from infra.aws.iam import Role, RoleArgs, Statement, allow, trust_service
from infra.aws.network import Network
from infra.aws.observability import Observability
from infra.contract import AuditContract
from infra.core.component import Component, StackContext

_TRAIL_DAYS = 365  # PCI DSS 10.5.1 requires a year


@dataclass(frozen=True)
class AuditArgs:
    context: StackContext
    account_id: pulumi.Output[str]
    network: Network
    observability: Observability
    artifacts: Artifacts
    experiments: Experiments


class Audit(Component):
    """CloudTrail in its own bucket and in CloudWatch, and flow logs of the VPC in CloudWatch."""

    layer = "aws"

    def __init__(self, name: str, args: AuditArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._trail_name = args.context.naming.global_name("audit", limit=128)
        self._trail_arn = pulumi.Output.format(
            "arn:aws:cloudtrail:{}:{}:trail/{}", args.context.settings.location, args.account_id, self._trail_name
        )
        self._bucket = self._create_bucket(name)
        self._trail_log_group = self._create_trail(name)
        self._flow_log_group = self._create_flow_log(f"{name}-network")
        self.register_outputs({"destination": self._bucket.name})

    @property
    def trail_log_group(self) -> pulumi.Output[str]:
        """Name of the log group of API calls."""
        return self._trail_log_group

    @property
    def flow_log_group(self) -> pulumi.Output[str]:
        """Name of the log group of the network's flows."""
        return self._flow_log_group

    @property
    def contract(self) -> AuditContract:
        return AuditContract(destination=self._bucket.name)

    def _create_bucket(self, name: str) -> Bucket:
        return Bucket(
            name,
            BucketArgs(
                self._args.context,
                name_suffix="audit",
                key=self._args.observability.key.arn,
                noncurrent_days=30,
                expiration_days=_TRAIL_DAYS,
                statements=self._trail_statements,
            ),
            self.child_options(),
        )

    def _trail_statements(self, bucket: pulumi.Output[str]) -> Sequence[Statement]:
        """The permissions that CloudTrail checks before it creates a trail.

        Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
        """
        service, source = {"Service": "cloudtrail.amazonaws.com"}, {"aws:SourceArn": self._trail_arn}
        objects = pulumi.Output.concat(bucket, "/AWSLogs/", self._args.account_id, "/*")
        owned = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **source}}
        return [
            allow(["s3:GetBucketAcl"], [bucket], {"StringEquals": source}, service),
            allow(["s3:PutObject"], [objects], owned, service),
        ]

    def _create_trail(self, name: str) -> pulumi.Output[str]:
        args = self._args
        logs = self._create_log_group(name, "audit")
        writer = self._create_writer_role(
            name, logs, trust_service("cloudtrail.amazonaws.com", self._source_condition(self._trail_arn))
        )
        objects = cloudtrail.TrailEventSelectorDataResourceArgs(
            type="AWS::S3::Object", values=[pulumi.Output.concat(args.artifacts.bucket_arn, "/")]
        )
        items = cloudtrail.TrailEventSelectorDataResourceArgs(
            type="AWS::DynamoDB::Table", values=list(args.experiments.table_arns.values())
        )
        cloudtrail.Trail(
            name,
            name=self._trail_name,
            s3_bucket_name=self._bucket.name,
            kms_key_id=args.observability.key.arn,
            cloud_watch_logs_group_arn=pulumi.Output.concat(logs.arn, ":*"),
            cloud_watch_logs_role_arn=writer.arn,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            enable_logging=True,
            event_selectors=[
                cloudtrail.TrailEventSelectorArgs(
                    include_management_events=True, read_write_type="All", data_resources=[objects, items]
                )
            ],
            tags=args.context.naming.tags,
            # CloudTrail writes to the bucket and the log group even before it creates the trail.
            opts=self.child_options(depends_on=[self._bucket, writer]),
        )
        group: pulumi.Output[str] = logs.name
        return group

    def _create_flow_log(self, name: str) -> pulumi.Output[str]:
        args = self._args
        logs = self._create_log_group(name, "network")
        flows = pulumi.Output.format(
            "arn:aws:ec2:{}:{}:vpc-flow-log/*", args.context.settings.location, args.account_id
        )
        writer = self._create_writer_role(
            name, logs, trust_service("vpc-flow-logs.amazonaws.com", self._source_condition(flows))
        )
        ec2.FlowLog(
            name,
            vpc_id=args.network.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=writer.arn,
            max_aggregation_interval=600,  # seconds; the only alternative, 60, has six times the volume
            tags=args.context.naming.tags,
            opts=self.child_options(depends_on=[writer]),
        )
        group: pulumi.Output[str] = logs.name
        return group

    def _create_log_group(self, name: str, path: str) -> cloudwatch.LogGroup:
        prefix = self._args.context.naming.prefix
        return self._args.observability.create_log_group(name, f"/groundwork/{prefix}/{path}", self.child_options())

    def _source_condition(self, arn: pulumi.Output[str]) -> dict[str, object]:
        """Prevent confused deputies: the service can act only for resources of this account."""
        return {"StringEquals": {"aws:SourceAccount": self._args.account_id}, "ArnLike": {"aws:SourceArn": arn}}

    def _create_writer_role(self, name: str, logs: cloudwatch.LogGroup, trusted: Statement) -> Role:
        """A role with which a service can write to only one log group."""
        write = allow(
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [pulumi.Output.concat(logs.arn, ":*")],
        )
        # VPC flow logs find the group by listing groups, an action that supports no narrower resource.
        find = allow(["logs:DescribeLogGroups"], ["*"])
        role = RoleArgs(self._args.context, name, trusted, statements=[write, find])
        return Role(name, role, self.child_options())
