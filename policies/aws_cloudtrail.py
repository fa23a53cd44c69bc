"""AWS CloudTrail: who did what, everywhere, and proof that nobody edited it."""

from policies.control import control
from policies.props import Props, Verdicts, expect, expect_set, is_true

TRAIL = ("aws:cloudtrail/trail:Trail",)


@control(
    "aws-cloudtrail-logging",
    title="Trails are switched on",
    severity="critical",
    types=TRAIL,
    remedy="leave enableLogging unset or set it to true",
    anchors=("CKV_AWS_251", "FSBP CloudTrail.3"),
)
def logging(props: Props) -> Verdicts:
    yield from expect(props, "enableLogging", is_true, "nothing is recorded", absent_passes=True)


@control(
    "aws-cloudtrail-every-region",
    title="Trails cover every region",
    severity="high",
    types=TRAIL,
    remedy="set isMultiRegionTrail to true",
    anchors=("CKV_AWS_67", "FSBP CloudTrail.1", "AWS-0014", "CIS-AWS6 4.1"),
)
def every_region(props: Props) -> Verdicts:
    yield from expect(props, "isMultiRegionTrail", is_true, "what happens elsewhere is not recorded")


@control(
    "aws-cloudtrail-validation",
    title="Trails prove that their logs are unchanged",
    severity="high",
    types=TRAIL,
    remedy="set enableLogFileValidation to true",
    anchors=("CKV_AWS_36", "FSBP CloudTrail.4", "AWS-0016", "CIS-AWS6 4.2"),
)
def validation(props: Props) -> Verdicts:
    yield from expect(props, "enableLogFileValidation", is_true, "an edited log looks like a true one")


@control(
    "aws-cloudtrail-kms",
    title="Trails are encrypted with a key of ours",
    severity="high",
    types=TRAIL,
    remedy="set kmsKeyId",
    anchors=("CKV_AWS_35", "FSBP CloudTrail.2", "AWS-0015", "CIS-AWS6 4.5"),
)
def kms(props: Props) -> Verdicts:
    yield from expect_set(props, "kmsKeyId", "whoever reads the bucket reads the log")
