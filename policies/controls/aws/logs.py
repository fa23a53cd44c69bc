"""Amazon CloudWatch Logs: encryption and retention."""

from policies.controls.aws.customer_keys import expect_customer_key
from policies.engine.expectations import at_least, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

GROUP = ("aws:cloudwatch/logGroup:LogGroup",)


@control(
    "aws-logs-kms",
    title="Log groups are encrypted with a customer-managed key",
    severity="medium",
    types=GROUP,
    remedy="set kmsKeyId to a key of the account whose policy lets the region's Logs service use it",
    references=("CKV_AWS_158", "AWS-0017"),
)
def kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyId", "logs are not encrypted with a key of the account")


@control(
    "aws-logs-retention",
    title="Log groups have a retention period",
    severity="low",
    types=GROUP,
    remedy="set retentionInDays",
    references=("CKV_AWS_66",),
)
def retention(props: Props) -> Findings:
    # 0 means that logs never expire.
    yield from expect(props, "retentionInDays", at_least(1), "logs are stored and paid for indefinitely")
