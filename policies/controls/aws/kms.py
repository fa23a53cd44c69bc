"""AWS KMS: keys rotate, and only named principals use them."""

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.engine.expectations import IS_TRUE, expect
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

KEY = ("aws:kms/key:Key",)
POLICY = ("aws:kms/keyPolicy:KeyPolicy",)
# Their key material comes from another key or the owner, so AWS does not rotate them.
OTHERS = (
    "aws:kms/replicaKey:ReplicaKey",
    "aws:kms/externalKey:ExternalKey",
    "aws:kms/replicaExternalKey:ReplicaExternalKey",
)


@control(
    "aws-kms-rotation",
    title="KMS keys rotate automatically",
    severity="medium",
    types=KEY,
    remedy="set enableKeyRotation to true",
    references=("CKV_AWS_7", "FSBP KMS.4", "AWS-0065", "CIS-AWS6 4.6"),
)
def rotation(props: Props) -> Findings:
    spec = look_up(props, "customerMasterKeySpec")
    if spec is UNKNOWN:
        yield Undecided("customerMasterKeySpec")
    elif spec in ("SYMMETRIC_DEFAULT", "") or not isinstance(spec, str):  # AWS rotates symmetric keys only
        yield from expect(props, "enableKeyRotation", IS_TRUE, "the key material never changes")


@control(
    "aws-kms-policy-principal",
    title="Key policies do not trust everyone",
    severity="critical",
    types=KEY + POLICY + OTHERS,
    remedy="name the accounts or roles in the policy's Principal",
    references=("CKV_AWS_33", "FSBP KMS.5"),
)
def policy_principal(props: Props) -> Findings:
    yield from check_statements(props, "policy", trusts_everyone)
