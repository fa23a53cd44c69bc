"""AWS IAM: no policy grants everything, no role trusts everyone."""

from collections.abc import Callable, Mapping

from kernel.iam import Statement
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.engine.expectations import Requirement, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

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


def _check_policies(props: Props, find_problem: Callable[[Statement], str | None]) -> Findings:
    """Check a policy that is a resource of its own, or those that are inline in a role."""
    for path in ("policy", "inlinePolicies[*].policy"):
        yield from check_statements(props, path, find_problem)


def _covers_every_resource(statement: Statement) -> bool:
    return "*" in statement.resources or statement.has("NotResource")


@control(
    "aws-iam-administrator",
    title="No policy allows every action on every resource",
    severity="critical",
    types=POLICIES + ROLE,
    remedy="list the actions the workload needs and the resources it needs them on",
    references=("CKV_AWS_62", "CKV_AWS_63", "FSBP IAM.1", "AWS-0057", "CIS-AWS6 2.15"),
)
def administrator(props: Props) -> Findings:
    yield from _check_policies(props, _allows_everything)


def _allows_everything(statement: Statement) -> str | None:
    every_action = {"*", "*:*"} & set(statement.actions) or statement.has("NotAction")
    allowed = every_action and _covers_every_resource(statement)
    return "must not allow every action on every resource" if allowed else None


@control(
    "aws-iam-service-wildcard",
    title="No policy allows every action of a service",
    severity="high",
    types=POLICIES + ROLE,
    remedy="list the actions the workload needs",
    references=("FSBP IAM.21",),
)
def service_wildcard(props: Props) -> Findings:
    yield from _check_policies(props, _allows_whole_service)


def _allows_whole_service(statement: Statement) -> str | None:
    whole = any(str(action).endswith(":*") for action in statement.actions)
    return "must not allow every action of a service" if whole else None


@control(
    "aws-iam-pass-role",
    title="No policy allows passing every role to a service",
    severity="high",
    types=POLICIES + ROLE,
    remedy="name the roles that iam:PassRole may pass",
    references=("CKV_AWS_286", "AWS-0342"),
)
def pass_role(props: Props) -> Findings:
    yield from _check_policies(props, _passes_any_role)


def _passes_any_role(statement: Statement) -> str | None:
    passes = statement.names_action("iam:PassRole") is True and _covers_every_resource(statement)
    return "must not allow iam:PassRole on every role, otherwise its holder can act as any of them" if passes else None


@control(
    "aws-iam-trust-principal",
    title="No role trusts everyone",
    severity="critical",
    types=ROLE,
    remedy="name the accounts, services or providers in the trust policy's Principal",
    references=("CKV_AWS_60", "CKV_AWS_61"),
)
def trust_principal(props: Props) -> Findings:
    yield from check_statements(props, "assumeRolePolicy", trusts_everyone)


@control(
    "aws-iam-oidc-trust",
    title="Roles for OIDC identities name the audience and the subject",
    severity="high",
    types=ROLE,
    remedy="add conditions on the provider's :aud and :sub keys; the subject must not be only a wildcard",
    references=("CKV_AWS_393", "CIS-EKS 5.2.1"),
)
def oidc_trust(props: Props) -> Findings:
    yield from check_statements(props, "assumeRolePolicy", _trusts_whole_provider)


def _trusts_whole_provider(statement: Statement) -> str | None:
    principal = statement.elements.get("Principal")
    if not isinstance(principal, Mapping) or "Federated" not in principal:
        return None
    restricted = {
        condition.key.rpartition(":")[2]
        for condition in statement.conditions
        if condition.values and all(str(value).strip("*?:") for value in condition.values)
    }
    missing = [claim for claim in ("aud", "sub") if claim not in restricted]
    return (
        f"must have a condition on {' and '.join(missing)}, otherwise any workload's token is accepted"
        if missing
        else None
    )


@control(
    "aws-iam-administrator-attached",
    title="No administrator policy is attached",
    severity="high",
    types=ATTACHMENTS + ROLE,
    remedy="attach a policy with the actions the workload needs",
    references=("CKV_AWS_274", "CKV2_AWS_56"),
)
def administrator_attached(props: Props) -> Findings:
    for path in ("policyArn", "managedPolicyArns[*]"):
        yield from expect(
            props,
            path,
            Requirement("must not be an administrator policy", lambda arn: not str(arn).endswith(ADMINISTRATORS)),
            "its holder can do everything in the account",
            absent_passes=True,
        )
