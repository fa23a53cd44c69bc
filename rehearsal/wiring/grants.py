"""Permissions of an identity: IAM policies of a role, and role assignments of a principal in Azure and Cosmos DB."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any

from kernel.iam import Statement, statements
from kernel.values import UNKNOWN
from rehearsal.simulator.azure.identity import ROLES
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.graph import Wiring

ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
_COSMOS_ASSIGNMENT = "azure-native:cosmosdb:SqlResourceSqlRoleAssignment"


def find_role(wiring: Wiring, reference: Any) -> Resource | None:
    """A role, found by its ARN or by its name."""
    roles = wiring.clouds.all(ROLE)
    return next((role for role in roles if reference in (role.id, role.outputs.get("arn"))), None)


def list_statements(wiring: Wiring, role: Resource) -> Iterator[Statement]:
    """The statements of a role's own policies."""
    for policy in wiring.find_all(ROLE_POLICY, "role", role.id):
        yield from statements(policy.inputs.get("policy"))


def has_managed_policy(wiring: Wiring, role: Resource, names: Collection[str]) -> bool:
    """Whether one of AWS's managed policies is attached, by name."""
    attached = (str(found.inputs.get("policyArn")) for found in wiring.find_all(_ATTACHMENT, "role", role.id))
    return any(arn.rpartition("/")[2] in names for arn in attached)


def role_allows(wiring: Wiring, role: Resource, action: str, resource: str) -> bool:
    """Whether a statement of the role's own policies allows an action on an ARN; conditions are not evaluated."""
    return any(
        statement.is_allow
        and statement.names_action(action) is not False
        and any(_covers(pattern, resource) for pattern in statement.resources)
        for statement in list_statements(wiring, role)
    )


def _covers(pattern: Any, resource: str) -> bool:
    return pattern is UNKNOWN or fnmatchcase(resource, str(pattern))


def list_azure_roles(wiring: Wiring, principal: str, target: str) -> Iterator[str]:
    """Names of the roles that a principal has on a resource, or on a scope that contains it."""
    for assignment in wiring.find_all(_ASSIGNMENT, "principalId", principal):
        if _contains(str(assignment.inputs.get("scope")), target):
            role = str(assignment.inputs.get("roleDefinitionId")).rpartition("/")[2]
            yield ROLES.get(role, role)


def list_azure_scopes(wiring: Wiring, principal: str) -> Iterator[str]:
    """IDs of what a principal has roles on: those of Azure, and those of Cosmos DB itself."""
    for type_ in (_ASSIGNMENT, _COSMOS_ASSIGNMENT):
        for assignment in wiring.find_all(type_, "principalId", principal):
            yield str(assignment.inputs.get("scope"))


def has_azure_role(wiring: Wiring, principal: str, roles: Collection[str], target: str) -> bool:
    return any(role in roles for role in list_azure_roles(wiring, principal, target))


def has_cosmos_role(wiring: Wiring, principal: str, account: str) -> bool:
    """Whether a principal has a role on a Cosmos DB account, or on something in it."""
    assigned = wiring.find_all(_COSMOS_ASSIGNMENT, "principalId", principal)
    return any(_contains(account, str(assignment.inputs.get("scope"))) for assignment in assigned)


def has_any_grant(wiring: Wiring, principal: str) -> bool:
    """Whether a principal of Azure has any role assignment."""
    return any(
        True for type_ in (_ASSIGNMENT, _COSMOS_ASSIGNMENT) for _ in wiring.find_all(type_, "principalId", principal)
    )


def _contains(scope: str, target: str) -> bool:
    return f"{target.lower()}/".startswith(f"{scope.lower()}/")
