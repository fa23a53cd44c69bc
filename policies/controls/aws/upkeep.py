"""Upkeep of a stack on AWS: secrets are rotated, old images are deleted, and alarms and budgets notify somebody."""

import re
from collections.abc import Mapping
from typing import Any

from kernel.paths import each_value, look_up
from kernel.values import UNKNOWN, as_list
from policies.controls.tags import REQUIRED, expect_tags
from policies.engine.expectations import (
    IS_TRUE,
    Requirement,
    any_matches,
    at_most,
    check_each,
    expect,
    fail_if_all,
    pass_if_any,
)
from policies.engine.findings import Findings, Props
from policies.engine.registry import control, stack_control
from policies.engine.stack import Stack, StackFindings, expect_companion, of_type

SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 (a type)
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
REPOSITORY = "aws:ecr/repository:Repository"
REPOSITORY_LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
ALARM = ("aws:cloudwatch/metricAlarm:MetricAlarm",)
BUDGET = ("aws:budgets/budget:Budget",)
TAGGED = (
    "aws:dynamodb/table:Table",
    "aws:ec2/vpc:Vpc",
    "aws:ecr/repository:Repository",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:kms/key:Key",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
    "aws:secretsmanager/secret:Secret",
)
_LONGEST_DAYS = 90
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_PER_DAY = {"minute": 24 * 60, "hour": 24, "day": 1}


@stack_control(
    "aws-secretsmanager-rotation",
    title="Secrets are rotated automatically",
    severity="medium",
    types=(SECRET,),
    remedy="declare a SecretRotation for the secret",
    references=("CKV2_AWS_57", "FSBP SecretsManager.1"),
)
def secret_rotation(stack: Stack) -> StackFindings:
    missing = "the secret must have a SecretRotation"
    yield from expect_companion(of_type(stack, SECRET), of_type(stack, ROTATION), "secretId", missing)


@control(
    "aws-secretsmanager-rotation-period",
    title="Secrets are rotated within 90 days",
    severity="medium",
    types=(ROTATION,),
    remedy="set rotationRules.automaticallyAfterDays to 90 or less, or rotationRules.scheduleExpression",
    references=("CKV_AWS_304", "FSBP SecretsManager.4"),
)
def rotation_period(props: Props) -> Findings:
    risk = "a leaked secret can be used for too long"
    often = Requirement("must be a rate of 90 days or less, or a schedule", _is_often)
    scheduled = expect(props, "rotationRules.scheduleExpression", often, risk)
    every = expect(props, "rotationRules.automaticallyAfterDays", at_most(_LONGEST_DAYS), risk)
    yield from pass_if_any([scheduled, every])


def _is_often(expression: Any) -> bool:
    """Whether a schedule runs often enough. A cron schedule is accepted, because its interval is not computed here."""
    text = expression if isinstance(expression, str) else ""
    found = _RATE.fullmatch(text)
    if found:
        return int(found[1]) <= _LONGEST_DAYS * _PER_DAY[found[2]]
    return text.startswith("cron(")


@stack_control(
    "aws-ecr-lifecycle",
    title="Repositories delete old images",
    severity="low",
    types=(REPOSITORY,),
    remedy="declare a LifecyclePolicy for the repository",
    references=("FSBP ECR.3",),
)
def repository_lifecycle(stack: Stack) -> StackFindings:
    missing = "the repository must have a LifecyclePolicy, otherwise every image is stored and paid for indefinitely"
    policies = of_type(stack, REPOSITORY_LIFECYCLE)
    yield from expect_companion(of_type(stack, REPOSITORY), policies, "repository", missing)


@control(
    "aws-alarm-receivers",
    title="Alarms notify somebody",
    severity="low",
    types=ALARM,
    remedy="list a topic in alarmActions, and leave actionsEnabled unset or set it to true",
    references=("FSBP CloudWatch.15", "FSBP CloudWatch.17"),
)
def alarm_receivers(props: Props) -> Findings:
    actions = as_list(look_up(props, "alarmActions"))
    if not any(each is UNKNOWN or (isinstance(each, str) and each.startswith("arn:")) for each in actions):
        yield "alarmActions must list a topic, otherwise nobody is notified of the alarm"
    yield from expect(props, "actionsEnabled", IS_TRUE, "nobody is notified of the alarm", absent_passes=True)


@control(
    "aws-cost-budget",
    title="Budgets notify somebody when they are spent",
    severity="low",
    types=BUDGET,
    remedy="list subscriberEmailAddresses or subscriberSnsTopicArns in notifications",
)
def budget(props: Props) -> Findings:
    risk = "nobody is notified when the budget is spent"

    def check(where: str, notification: Any) -> Findings:
        kinds = ("subscriberEmailAddresses", "subscriberSnsTopicArns")
        receivers = [value for kind in kinds for _, value in each_value(notification, f"{kind}[*]")]
        heard = any_matches(receivers, lambda value: isinstance(value, str) and ("@" in value or value[:4] == "arn:"))
        problem = f"must have receivers, otherwise {risk}"
        yield from fail_if_all(where, [UNKNOWN if heard is UNKNOWN else not heard], problem)

    if not as_list(look_up(props, "notifications")):
        yield f"notifications must not be empty, otherwise {risk}"
    yield from check_each(props, "notifications[*]", check)


@control(
    "aws-cost-tags",
    title="Resources that cost money have the required tags",
    severity="low",
    types=TAGGED,
    remedy="set the tags that the setting required lists",
    settings={"required": REQUIRED},
)
def tags(props: Props, settings: Mapping[str, Any]) -> Findings:
    yield from expect_tags(props, settings["required"])
