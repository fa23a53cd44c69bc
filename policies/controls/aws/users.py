"""AWS IAM users: passwords, keys, and directly attached policies."""

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.engine.expectations import at_least, expect, one_of, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

PASSWORD_POLICY = ("aws:iam/accountPasswordPolicy:AccountPasswordPolicy",)
USER_POLICIES = (
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)
ACCESS_KEY = ("aws:iam/accessKey:AccessKey",)
# A password, or a key of Amazon Bedrock, for one service.
SERVICE_CREDENTIAL = ("aws:iam/serviceSpecificCredential:ServiceSpecificCredential",)


@control(
    "aws-iam-password-length",
    title="Passwords of users are long enough",
    severity="medium",
    types=PASSWORD_POLICY,
    remedy="set minimumPasswordLength to 14 or more",
    references=("CKV_AWS_10", "CIS-AWS6 2.7"),
)
def password_length(props: Props) -> Findings:
    yield from expect(props, "minimumPasswordLength", at_least(14), "passwords can be guessed")


@control(
    "aws-iam-password-reuse",
    title="Users cannot reuse old passwords",
    severity="low",
    types=PASSWORD_POLICY,
    remedy="set passwordReusePrevention to 24",
    references=("CKV_AWS_13",),
)
def password_reuse(props: Props) -> Findings:
    yield from expect(props, "passwordReusePrevention", at_least(24), "a leaked password is used again")


@control(
    "aws-iam-access-key",
    title="Keys of users expire",
    severity="medium",
    types=ACCESS_KEY + SERVICE_CREDENTIAL,
    remedy="use a role for workloads and IAM Identity Center for people, or set credentialAgeDays if the key has it",
)
def access_key(props: Props) -> Findings:
    risk = "anyone who finds the key in a log or a file can use it"
    inactive = expect(props, "status", one_of("Inactive"), risk)
    yield from pass_if_any([expect(props, "credentialAgeDays", at_least(1), risk), inactive])


@control(
    "aws-iam-user-policy",
    title="Policies are not attached to users",
    severity="low",
    types=USER_POLICIES,
    remedy="attach the policy to a group or a role",
    references=("CKV_AWS_40", "FSBP IAM.2", "AWS-0143"),
)
def user_policy(props: Props) -> Findings:
    users = [each for each in as_list(look_up(props, "users")) if each is not None]
    if look_up(props, "users") is UNKNOWN:
        yield Undecided("users")
    elif look_up(props, "user") is not ABSENT or users:
        yield "the policy must not be attached to a user, because it is not visible in the user's groups"
