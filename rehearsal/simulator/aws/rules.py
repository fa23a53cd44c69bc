"""Shared by several AWS services: ARNs, trust policies, key policies, and the availability zones of subnets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernel.iam import PrincipalKind, allows, statements
from rehearsal.simulator.core.circumstances import Person
from rehearsal.simulator.core.resource_model import Resource, ResourceRequest, Rule

# Roles that exist before the stack does, keyed by who deploys.
CALLER_ROLES = {Person.DEPLOYER: "rehearsal", Person.PIPELINE: "pipeline", Person.COLLEAGUE: "colleague"}


def get_caller_role(account: Mapping[str, str]) -> str:
    """The ARN of the role that deploys: one that was granted access, or the caller's own."""
    own = CALLER_ROLES[Person(account.get("caller", Person.DEPLOYER))]
    return account.get("principal") or f"arn:aws:iam::{account['account']}:role/{own}"


def is_callers_role(account: Mapping[str, str], arn: str) -> bool:
    """Whether a role exists outside of the stack, for somebody who deploys it."""
    own = (f"arn:aws:iam::{account['account']}:role/{name}" for name in CALLER_ROLES.values())
    return arn in (*own, get_caller_role(account))


def get_name(request: ResourceRequest) -> str:
    """The input `name`, for types whose ID it is."""
    return str(request.get("name"))


def arn_template(service: str, resource: str) -> str:
    """Template of an ARN in the simulated account and region."""
    return f"arn:aws:{service}:{{region}}:{{account}}:{resource}"


def is_trusted_by(role: Resource | None, service: str) -> bool:
    """Whether a role exists and a service of AWS may assume it; conditions are not evaluated."""
    if role is None:
        return False
    return allows(role.inputs.get("assumeRolePolicy"), "Service", service, "sts:AssumeRole") is True


def require_trust(path: str, service: str, message: str) -> Rule:
    """A service of AWS may assume the role at `path`, if one is set. `{value}` in the message is the role's ARN."""

    def rule(request: ResourceRequest) -> str | None:
        arn = request.get(path)
        return None if arn is None or is_trusted_by(request.state.find(arn), service) else message.format(value=arn)

    return rule


def key_allows(request: ResourceRequest, arn: Any, kind: PrincipalKind, principal: str, action: str) -> bool:
    """Whether the policy of a KMS key itself allows an action to a principal; IAM policies are not evaluated.

    A statement names the principal, or names everyone and has a condition on the principal's ARN. Other conditions
    are not evaluated.
    """
    key = request.state.find(str(arn))
    policy = key.inputs.get("policy") if key else None
    return allows(policy, kind, principal, action) is True or any(
        statement.is_allow
        and "*" in statement.principals(kind)
        and statement.names_action(action) is True
        and any(test.key == "aws:PrincipalArn" and principal in test.values for test in statement.conditions)
        for statement in statements(policy)
    )


def find_resources(request: ResourceRequest, path: str) -> list[Resource]:
    """The existing resources whose IDs or ARNs are listed at `path`."""
    return [found for found in map(request.state.find, request.get(path, [])) if found is not None]


def get_availability_zones(request: ResourceRequest, path: str) -> set[str]:
    """The names of the availability zones of the subnets listed at `path`."""
    return {str(subnet.outputs.get("availabilityZone")) for subnet in find_resources(request, path)}
