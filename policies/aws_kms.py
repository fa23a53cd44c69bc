"""AWS KMS: keys rotate, and only those named may use them."""

from policies.control import control
from policies.iam_policy import judge_statements, trusts_anyone
from policies.props import UNKNOWN, Props, Undecided, Verdicts, expect, is_true, lookup

KEY = ("aws:kms/key:Key",)
POLICY = ("aws:kms/keyPolicy:KeyPolicy",)


@control(
    "aws-kms-rotation",
    title="KMS keys rotate by themselves",
    severity="medium",
    types=KEY,
    remedy="set enableKeyRotation to true",
    anchors=("CKV_AWS_7", "FSBP KMS.4", "AWS-0065", "CIS-AWS6 4.6"),
)
def rotation(props: Props) -> Verdicts:
    spec = lookup(props, "customerMasterKeySpec")
    if spec is UNKNOWN:
        yield Undecided("customerMasterKeySpec")
    elif spec in ("SYMMETRIC_DEFAULT", None) or not isinstance(spec, str):  # AWS rotates no other kind
        yield from expect(props, "enableKeyRotation", is_true, "the key material never changes")


@control(
    "aws-kms-policy-principal",
    title="Key policies do not trust everyone",
    severity="critical",
    types=KEY + POLICY,
    remedy="name the accounts or roles in the policy's Principal",
    anchors=("CKV_AWS_33", "FSBP KMS.5"),
)
def policy_principal(props: Props) -> Verdicts:
    yield from judge_statements(props, "policy", trusts_anyone)
