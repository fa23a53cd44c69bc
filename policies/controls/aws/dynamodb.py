"""Amazon DynamoDB: the tables of experiments."""

from policies.controls.aws.customer_keys import expect_customer_key
from policies.engine.expectations import IS_TRUE, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

TABLE = ("aws:dynamodb/table:Table",)


@control(
    "aws-dynamodb-point-in-time-recovery",
    title="DynamoDB tables can be restored to any recent second",
    severity="high",
    types=TABLE,
    remedy="set pointInTimeRecovery.enabled to true",
    references=("CKV_AWS_28", "FSBP DynamoDB.2", "AWS-0024"),
)
def point_in_time_recovery(props: Props) -> Findings:
    yield from expect(props, "pointInTimeRecovery.enabled", IS_TRUE, "a faulty write cannot be undone")


@control(
    "aws-dynamodb-kms",
    title="DynamoDB tables are encrypted with a customer-managed key",
    severity="medium",
    types=TABLE,
    remedy="set serverSideEncryption.enabled and serverSideEncryption.kmsKeyArn",
    references=("CKV_AWS_119", "AWS-0025"),
)
def kms(props: Props) -> Findings:
    yield from expect(
        props, "serverSideEncryption.enabled", IS_TRUE, "the table is not encrypted with a customer-managed key"
    )
    yield from expect_customer_key(
        props, "serverSideEncryption.kmsKeyArn", "the table is not encrypted with a customer-managed key"
    )
