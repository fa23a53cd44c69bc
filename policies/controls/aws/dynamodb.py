"""Amazon DynamoDB: the tables of experiments."""

from policies.controls.aws.customer_keys import expect_customer_key
from policies.engine.expectations import IS_TRUE, expect, pass_if_any
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

TABLE = ("aws:dynamodb/table:Table",)
REPLICA = ("aws:dynamodb/tableReplica:TableReplica",)


@control(
    "aws-dynamodb-point-in-time-recovery",
    title="DynamoDB tables can be restored to any recent second",
    severity="high",
    types=TABLE + REPLICA,
    remedy="set pointInTimeRecovery.enabled to true",
    references=("CKV_AWS_28", "FSBP DynamoDB.2", "AWS-0024"),
)
def point_in_time_recovery(props: Props) -> Findings:
    # A replica has a flag, and a table has a block.
    paths = ("pointInTimeRecovery", "pointInTimeRecovery.enabled")
    yield from pass_if_any(expect(props, path, IS_TRUE, "a faulty write cannot be undone") for path in paths)


@control(
    "aws-dynamodb-kms",
    title="DynamoDB tables are encrypted with a customer-managed key",
    severity="medium",
    types=TABLE + REPLICA,
    remedy="set serverSideEncryption.enabled and serverSideEncryption.kmsKeyArn",
    references=("CKV_AWS_119", "AWS-0025"),
)
def kms(props: Props) -> Findings:
    risk = "the table is not encrypted with a customer-managed key"
    yield from pass_if_any([expect_customer_key(props, "kmsKeyArn", risk), _expect_table_key(props, risk)])


def _expect_table_key(props: Props, risk: str) -> Findings:
    yield from expect(props, "serverSideEncryption.enabled", IS_TRUE, risk)
    yield from expect_customer_key(props, "serverSideEncryption.kmsKeyArn", risk)
