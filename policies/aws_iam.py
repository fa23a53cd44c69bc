"""AWS IAM: no policy grants everything, no role trusts everyone."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from policies.control import control
from policies.iam_policy import Statement, conditions, judge_statements, trusts_anyone
from policies.props import Props, Verdicts, expect, items

POLICIES = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
ROLE = ("aws:iam/role:Role",)
ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)
ADMINISTRATORS = ("/AdministratorAccess", "/IAMFullAccess", "/PowerUserAccess")


def _in_policies(props: Props, fault: Callable[[Statement], str | None]) -> Verdicts:
    """A policy stands in a resource of its own or inline in a role."""
    for path in ("policy", "inlinePolicies[].policy"):
        yield from judge_statements(props, path, fault)


def _grants(statement: Statement, action: str) -> bool:
    patterns = [str(pattern).lower() for pattern in items(statement.get("Action"))]
    return any(fnmatchcase(action.lower(), pattern) for pattern in patterns)


def _everywhere(statement: Statement) -> bool:
    return "*" in items(statement.get("Resource")) or "NotResource" in statement


@control(
    "aws-iam-administrator",
    title="No policy allows everything on everything",
    severity="critical",
    types=POLICIES + ROLE,
    remedy="list the actions the workload needs and the resources it needs them on",
    anchors=("CKV_AWS_62", "CKV_AWS_63", "FSBP IAM.1", "AWS-0057", "CIS-AWS6 2.15"),
)
def administrator(props: Props) -> Verdicts:
    yield from _in_policies(props, _allows_everything)


def _allows_everything(statement: Statement) -> str | None:
    everything = {"*", "*:*"} & set(items(statement.get("Action"))) or "NotAction" in statement
    return "it allows everything on everything" if everything and _everywhere(statement) else None


@control(
    "aws-iam-service-wildcard",
    title="No policy allows every action of a service",
    severity="high",
    types=POLICIES + ROLE,
    remedy="list the actions the workload needs",
    anchors=("FSBP IAM.21",),
)
def service_wildcard(props: Props) -> Verdicts:
    yield from _in_policies(props, _allows_whole_service)


def _allows_whole_service(statement: Statement) -> str | None:
    whole = any(str(action).endswith(":*") for action in items(statement.get("Action")))
    return "it allows every action of a service" if whole else None


@control(
    "aws-iam-pass-role",
    title="No policy hands out every role",
    severity="high",
    types=POLICIES + ROLE,
    remedy="name the roles that iam:PassRole may pass",
    anchors=("CKV_AWS_286", "AWS-0342"),
)
def pass_role(props: Props) -> Verdicts:
    yield from _in_policies(props, _passes_any_role)


def _passes_any_role(statement: Statement) -> str | None:
    passes = _grants(statement, "iam:PassRole") and _everywhere(statement)
    return "iam:PassRole on every role lets its holder become any of them" if passes else None


@control(
    "aws-iam-trust-principal",
    title="No role trusts everyone",
    severity="critical",
    types=ROLE,
    remedy="name the accounts, services or providers in the trust policy's Principal",
    anchors=("CKV_AWS_60", "CKV_AWS_61"),
)
def trust_principal(props: Props) -> Verdicts:
    yield from judge_statements(props, "assumeRolePolicy", trusts_anyone)


@control(
    "aws-iam-oidc-trust",
    title="Roles for OIDC identities name the audience and the subject",
    severity="high",
    types=ROLE,
    remedy="add conditions on the provider's :aud and :sub keys; the subject may not be only a wildcard",
    anchors=("CKV_AWS_393", "CIS-EKS 5.2.1"),
)
def oidc_trust(props: Props) -> Verdicts:
    yield from judge_statements(props, "assumeRolePolicy", _trusts_whole_provider)


def _trusts_whole_provider(statement: Statement) -> str | None:
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping) or "Federated" not in principal:
        return None
    named = {
        key.rpartition(":")[2]
        for _, key, values in conditions(statement)
        if values and all(str(value).strip("*?:") for value in values)
    }
    lacking = [claim for claim in ("aud", "sub") if claim not in named]
    return f"no condition on {' and '.join(lacking)}: strangers' tokens are accepted" if lacking else None


@control(
    "aws-iam-administrator-attached",
    title="No administrator policy is attached",
    severity="high",
    types=ATTACHMENTS + ROLE,
    remedy="attach a policy with the actions the workload needs",
    anchors=("CKV_AWS_274", "CKV2_AWS_56"),
)
def administrator_attached(props: Props) -> Verdicts:
    for path in ("policyArn", "managedPolicyArns[]"):
        yield from expect(
            props,
            path,
            lambda arn: not str(arn).endswith(ADMINISTRATORS),
            "an administrator policy is attached",
            absent_passes=True,
        )
