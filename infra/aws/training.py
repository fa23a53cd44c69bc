"""The managed training service of the cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from infra.access import get_workload
from infra.aws.iam import FOR_SERVICES, Role, RoleArgs, Statement, allow, trust_service
from infra.aws.identity import Identities
from infra.aws.network import HTTPS, Network, tcp_rule
from infra.aws.secrets import Secrets
from infra.contract import TrainingContract
from infra.core.component import Component, StackContext

# SageMaker training jobs need the same access as those in the cluster.
_WORKLOAD = get_workload("training")


@dataclass(frozen=True)
class TrainingArgs:
    context: StackContext
    account_id: pulumi.Output[str]
    network: Network
    secrets: Secrets
    identities: Identities


class Training(Component):
    """The role and the security group of SageMaker's training jobs.

    They do not need a domain. What SageMaker creates for one, a file system and its security groups, remains when the
    domain is deleted, and would prevent the deletion of the network.
    Source: https://github.com/hashicorp/terraform-provider-aws/issues/20986
    """

    layer = "aws"

    def __init__(self, name: str, args: TrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._prefix = args.context.naming.regional_name("training", limit=63)
        role = Role(
            name,
            RoleArgs(
                args.context,
                "sagemaker",
                trust_service("sagemaker.amazonaws.com", {"StringEquals": {"aws:SourceAccount": args.account_id}}),
                statements=[
                    *self._data_statements(),
                    *self._job_statements(),
                    *self._network_statements(),
                    *self._log_statements(),
                ],
            ),
            self.child_options(),
        )
        self._create_security_group(name)
        self._role_arn = role.arn
        self.register_outputs({"name": self.contract.name})

    @property
    def contract(self) -> TrainingContract:
        return TrainingContract(name=self._role_arn.apply(lambda _: self._prefix))

    def _create_security_group(self, name: str) -> None:
        context = self._args.context
        ec2.SecurityGroup(
            name,
            vpc_id=self._args.network.vpc_id,
            name=self._prefix,
            description="SageMaker jobs",
            ingress=[tcp_rule("Between the instances of a job", 0, 65535, itself=True)],
            egress=[
                tcp_rule("HTTPS to AWS and package indexes, through NAT", HTTPS, HTTPS, ["0.0.0.0/0"]),
                tcp_rule("Between the instances of a job", 0, 65535, itself=True),
            ],
            tags={**context.naming.tags, "Name": self._prefix},
            opts=self.child_options(),
        )

    def _data_statements(self) -> Sequence[Statement]:
        """Access to data, and to the jobs' disks, which SageMaker encrypts through a grant."""
        identities, key = self._args.identities, self._args.secrets.key.arn
        granted = [grant for store in _WORKLOAD.needs for grant in identities.policy_statements(_WORKLOAD, store)]
        return [*granted, allow(["kms:CreateGrant"], [key], FOR_SERVICES), allow(["kms:DescribeKey"], [key])]

    def _job_statements(self) -> Sequence[Statement]:
        """Permission for jobs with the stack's prefix and size, which run as this role; none if `maximumNodes` is 0.

        IAM cannot limit how many jobs run at the same time; a service quota does.
        """
        settings = self._args.context.settings.training
        if not settings.maximum_nodes:
            return []
        role = f"role/{self._args.context.naming.global_name('sagemaker', limit=64)}"
        jobs = [self._arn("sagemaker", f"training-job/{self._prefix}-*")]
        return [
            allow(
                ["sagemaker:CreateTrainingJob"],
                jobs,
                {"ForAllValues:StringEquals": {"sagemaker:InstanceTypes": [settings.size]}},
            ),
            allow(["sagemaker:AddTags", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], jobs),
            allow(
                ["iam:PassRole"],
                [pulumi.Output.format("arn:aws:iam::{}:{}", self._args.account_id, role)],
                {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]

    def _network_statements(self) -> Sequence[Statement]:
        """Network interfaces in the VPC.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
        """
        interfaces = [
            f"ec2:{verb}{noun}"
            for verb in ("Create", "Delete")
            for noun in ("NetworkInterface", "NetworkInterfacePermission")
        ]
        described = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
        return [
            allow(
                interfaces,
                [self._arn("ec2", f"{kind}/*") for kind in ("network-interface", "security-group", "subnet")],
            ),
            allow([f"ec2:Describe{kind}" for kind in described], ["*"]),  # without resource-level permissions
        ]

    def _log_statements(self) -> Sequence[Statement]:
        return [
            allow(
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                [self._arn("logs", "log-group:/aws/sagemaker/*")],
            ),
            allow(
                ["cloudwatch:PutMetricData"],
                ["*"],
                {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
            ),
        ]

    def _arn(self, service: str, resource: str) -> pulumi.Output[str]:
        region = self._args.context.settings.location
        return pulumi.Output.concat("arn:aws:", service, ":", region, ":", self._args.account_id, ":", resource)
