"""AWS Secrets Manager."""

from policies.control import control
from policies.iam_policy import judge_statements, trusts_anyone
from policies.props import Props, Verdicts, expect_set

SECRET = ("aws:secretsmanager/secret:Secret",)
POLICY = ("aws:secretsmanager/secretPolicy:SecretPolicy",)


@control(
    "aws-secretsmanager-kms",
    title="Secrets are encrypted with a key of ours",
    severity="medium",
    types=SECRET,
    remedy="set kmsKeyId",
    anchors=("CKV_AWS_149", "AWS-0098"),
)
def kms(props: Props) -> Verdicts:
    yield from expect_set(props, "kmsKeyId", "no key of ours guards the secret")


@control(
    "aws-secretsmanager-policy-principal",
    title="Secret policies do not trust everyone",
    severity="critical",
    types=SECRET + POLICY,
    remedy="name the accounts or roles in the policy's Principal",
)
def policy_principal(props: Props) -> Verdicts:
    yield from judge_statements(props, "policy", trusts_anyone)
