"""AWS Secrets Manager: encryption and access."""

from policies.controls.aws.customer_keys import expect_customer_key
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.engine.expectations import at_least, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

SECRET = ("aws:secretsmanager/secret:Secret",)
POLICY = ("aws:secretsmanager/secretPolicy:SecretPolicy",)


@control(
    "aws-secretsmanager-kms",
    title="Secrets are encrypted with a customer-managed key",
    severity="medium",
    types=SECRET,
    remedy="set kmsKeyId",
    references=("CKV_AWS_149", "AWS-0098"),
)
def kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyId", "the secret is not encrypted with a customer-managed key")


@control(
    "aws-secretsmanager-recovery",
    title="Deleted secrets can be recovered",
    severity="medium",
    types=SECRET,
    remedy="set recoveryWindowInDays to 7 or more",
)
def recovery(props: Props) -> Findings:
    # The default is 30 days; 0 deletes immediately.
    risk = "a deleted secret is lost immediately"
    yield from expect(props, "recoveryWindowInDays", at_least(7), risk, absent_passes=True)


@control(
    "aws-secretsmanager-policy-principal",
    title="Secret policies do not trust everyone",
    severity="critical",
    types=SECRET + POLICY,
    remedy="name the accounts or roles in the policy's Principal",
)
def policy_principal(props: Props) -> Findings:
    yield from check_statements(props, "policy", trusts_everyone)
