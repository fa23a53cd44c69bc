"""Amazon DynamoDB: the experiments' tables."""

from policies.control import control
from policies.props import Props, Verdicts, expect, expect_set, is_true

TABLE = ("aws:dynamodb/table:Table",)


@control(
    "aws-dynamodb-point-in-time-recovery",
    title="DynamoDB tables can be restored to any recent second",
    severity="high",
    types=TABLE,
    remedy="set pointInTimeRecovery.enabled to true",
    anchors=("CKV_AWS_28", "FSBP DynamoDB.2", "AWS-0024"),
)
def point_in_time_recovery(props: Props) -> Verdicts:
    yield from expect(props, "pointInTimeRecovery.enabled", is_true, "a bad write can't be undone")


@control(
    "aws-dynamodb-kms",
    title="DynamoDB tables are encrypted with a key of ours",
    severity="medium",
    types=TABLE,
    remedy="set serverSideEncryption.enabled and serverSideEncryption.kmsKeyArn",
    anchors=("CKV_AWS_119", "AWS-0025"),
)
def kms(props: Props) -> Verdicts:
    yield from expect(props, "serverSideEncryption.enabled", is_true, "no key of ours guards the table")
    yield from expect_set(props, "serverSideEncryption.kmsKeyArn", "no key of ours guards the table")
