"""AWS CloudTrail: API activity is recorded in every region, and the record cannot be altered unnoticed."""

from policies.controls.aws.customer_keys import expect_customer_key
from policies.engine.expectations import IS_TRUE, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

TRAIL = ("aws:cloudtrail/trail:Trail",)


@control(
    "aws-cloudtrail-logging",
    title="Trails are switched on",
    severity="critical",
    types=TRAIL,
    remedy="leave enableLogging unset or set it to true",
    references=("CKV_AWS_251", "FSBP CloudTrail.3"),
)
def logging(props: Props) -> Findings:
    yield from expect(props, "enableLogging", IS_TRUE, "no activity is recorded", absent_passes=True)


@control(
    "aws-cloudtrail-every-region",
    title="Trails cover every region",
    severity="high",
    types=TRAIL,
    remedy="set isMultiRegionTrail to true",
    references=("CKV_AWS_67", "AWS-0014"),
)
def every_region(props: Props) -> Findings:
    yield from expect(props, "isMultiRegionTrail", IS_TRUE, "activity in other regions is not recorded")


@control(
    "aws-cloudtrail-validation",
    title="Trails validate the integrity of their log files",
    severity="high",
    types=TRAIL,
    remedy="set enableLogFileValidation to true",
    references=("CKV_AWS_36", "FSBP CloudTrail.4", "AWS-0016", "CIS-AWS6 4.2"),
)
def validation(props: Props) -> Findings:
    yield from expect(props, "enableLogFileValidation", IS_TRUE, "an altered log file cannot be detected")


@control(
    "aws-cloudtrail-kms",
    title="Trails are encrypted with a customer-managed key",
    severity="high",
    types=TRAIL,
    remedy="set kmsKeyId",
    references=("CKV_AWS_35", "FSBP CloudTrail.2", "AWS-0015", "CIS-AWS6 4.5"),
)
def kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyId", "everyone who can read the bucket can read the logs")
