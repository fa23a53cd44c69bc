"""Azure roles and identities: no assignment amounts to an owner, and federated credentials name one subject."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kernel.paths import look_up
from kernel.values import Truth
from policies.engine.control import Setting
from policies.engine.expectations import Requirement, any_matches, expect, fail_if_all
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

ASSIGNMENT = ("azure-native:authorization:RoleAssignment",)
CREDENTIAL = ("azure-native:managedidentity:FederatedIdentityCredential",)

# Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
GRANTS_ROLES: Final = (
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",  # Owner
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",  # User Access Administrator
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168",  # Role Based Access Control Administrator
)
ALLOWED_ROLES: Final = Setting({"type": "array", "items": {"type": "string"}}, default=[])
CONTRIBUTOR: Final = "b24988ac-6180-42a0-ab88-20f7382dd24c"


@control(
    "azure-authorization-owner",
    title="No identity may assign roles",
    severity="critical",
    types=ASSIGNMENT,
    remedy="assign a role with only the permissions that are needed, at the resource for which they are needed",
    references=("CIS-Azure5 5.23",),
    settings={"allowed": ALLOWED_ROLES},
)
def owner(props: Props, settings: Mapping[str, Any]) -> Findings:
    refused = _without(GRANTS_ROLES, settings)
    held = any_matches([look_up(props, "roleDefinitionId")], lambda role: _is_role(role, *refused))
    yield from fail_if_all("roleDefinitionId", [held], "must not be a role that assigns roles")


@control(
    "azure-authorization-subscription-scope",
    title="No identity may change a whole subscription",
    severity="high",
    types=ASSIGNMENT,
    remedy="assign the role at a resource group or a resource",
    settings={"allowed": ALLOWED_ROLES},
)
def subscription_scope(props: Props, settings: Mapping[str, Any]) -> Findings:
    refused = _without((CONTRIBUTOR,), settings)
    contributes = any_matches([look_up(props, "roleDefinitionId")], lambda role: _is_role(role, *refused))
    yield from fail_if_all("scope", [contributes, _is_wide(props)], "must not be a subscription or a management group")


def _without(roles: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
    """The IDs of the roles, except those that the setting allows."""
    allowed = {str(role).lower() for role in settings["allowed"]}
    return [role for role in roles if role not in allowed]


def _is_role(value: Any, *roles: str) -> bool:
    return isinstance(value, str) and bool(roles) and value.lower().endswith(roles)


def _is_wide(props: Props) -> Truth:
    def is_wide(scope: Any) -> bool:
        return isinstance(scope, str) and "/resourcegroups/" not in f"{scope.lower()}/"

    return any_matches([look_up(props, "scope")], is_wide)


@control(
    "azure-identity-federated-subject",
    title="Federated credentials trust one workload",
    severity="high",
    types=CREDENTIAL,
    remedy="set subject to one workload's, such as system:serviceaccount:<namespace>:<name>, without wildcards",
)
def federated_subject(props: Props) -> Findings:
    one = Requirement("must name one workload", lambda text: isinstance(text, str) and text != "" and "*" not in text)
    secure = Requirement("must be an https address", lambda url: isinstance(url, str) and url.startswith("https://"))
    yield from expect(props, "subject", one, "other workloads can sign in as the identity")
    yield from expect(props, "issuer", secure, "tokens can be forged in transit")
