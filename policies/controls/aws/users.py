"""AWS IAM's users: passwords, keys, and permissions of their own."""

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
    title="Passwords of users are long",
    severity="medium",
    types=PASSWORD_POLICY,
    remedy="set minimumPasswordLength to 14 or more",
    references=("CKV_AWS_10", "CIS-AWS6 2.7"),
)
def password_length(props: Props) -> Findings:
    yield from expect(props, "minimumPasswordLength", at_least(14), "passwords can be guessed")


@control(
    "aws-iam-password-reuse",
    title="Users do not return to old passwords",
    severity="low",
    types=PASSWORD_POLICY,
    remedy="set passwordReusePrevention to 24",
    references=("CKV_AWS_13",),
)
def password_reuse(props: Props) -> Findings:
    yield from expect(props, "passwordReusePrevention", at_least(24), "a leaked password is used again")


@control(
    "aws-iam-access-key",
    title="Nobody has keys that do not expire",
    severity="medium",
    types=ACCESS_KEY + SERVICE_CREDENTIAL,
    remedy="remove the key, or set credentialAgeDays if it has that; give workloads a role, people IAM Identity Center",
)
def access_key(props: Props) -> Findings:
    risk = "whoever finds the key in a log or a file can use it"
    inactive = expect(props, "status", one_of("Inactive"), risk)
    yield from pass_if_any([expect(props, "credentialAgeDays", at_least(1), risk), inactive])


@control(
    "aws-iam-user-policy",
    title="Users have no permissions of their own",
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
        yield "the policy must not be a user's, where nobody sees it in the user's groups"
