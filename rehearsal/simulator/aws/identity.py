"""AWS IAM: roles and their policies."""

from __future__ import annotations

import re
from typing import Any

from kernel.iam import Statement, statements
from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import get_name
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest, Rule
from rehearsal.simulator.core.rules import describe_unlisted, matches, refuse_while_used, require_existing, require_json

ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
INSTANCE_PROFILE = "aws:iam/instanceProfile:InstanceProfile"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"

# Managed policies of AWS, as paths below arn:aws:iam::aws:policy/; a few of the list at
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
_MANAGED_POLICIES = frozenset(
    (
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEC2ContainerRegistryReadOnly",
        "AmazonEKSClusterPolicy",
        "AmazonEKSVPCResourceController",
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonSSMManagedInstanceCore",
        "CloudWatchAgentServerPolicy",
        "service-role/AmazonEBSCSIDriverPolicy",
    )
)


# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
def _check_trust_policy(request: ResourceRequest) -> str | None:
    for statement in statements(request.get("assumeRolePolicy")):
        if statement.has("Resource"):
            return "MalformedPolicyDocument: Has prohibited field Resource"
        if not statement.has("Principal"):
            return "MalformedPolicyDocument: Missing required field Principal"
    return None


# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
def _check_identity_policy(request: ResourceRequest) -> str | None:
    for statement in statements(request.get("policy")):
        defect = _find_defect(statement)
        if defect:
            return f"MalformedPolicyDocument: {defect}"
    return None


def _find_defect(statement: Statement) -> str | None:
    if statement.has("Principal"):
        return "Policy document should not specify a principal."
    if not {"Action", "NotAction"} & statement.elements.keys():
        return "Policy statement must contain actions."
    if not {"Resource", "NotResource"} & statement.elements.keys():
        return "Policy statement must contain resources."
    actions, resources = _list_texts(statement.actions), _list_texts(statement.resources)
    if any(action != "*" and ":" not in action for action in actions):
        return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
    invalid = next((text for text in resources if text != "*" and not text.startswith("arn:")), None)
    return f'Resource {invalid} must be in ARN format or "*".' if invalid else None


def _list_texts(values: list[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _limit_length(path: str, max_length: int, message: str) -> Rule:
    """The policy at `path` has at most `max_length` characters, not counting white space, as IAM does."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        if value is UNKNOWN or len(re.sub(r"\s", "", value)) <= max_length:
            return None
        return request.fill(message)

    return rule


def _note_managed_policy(request: ResourceRequest) -> str | None:
    policy = request.get("policyArn")
    if not isinstance(policy, str) or not policy.startswith("arn:aws:iam::aws:policy/"):
        return None
    name = policy.removeprefix("arn:aws:iam::aws:policy/")
    question = "whether AWS has the managed policy"
    return None if name in _MANAGED_POLICIES else describe_unlisted(question, name, _MANAGED_POLICIES)


MODELS = (
    ResourceModel(
        ROLE,
        id=get_name,
        outputs={
            "arn": lambda request: (
                f"arn:aws:iam::{request.account['account']}:role{request.get('path', '/')}{request.get('name')}"
            ),
            "uniqueId": lambda request: f"AROA{request.hex(17).upper()}",
            "createDate": lambda _: "2026-01-01T00:00:00Z",
        },
        required=("assumeRolePolicy",),
        defaults=auto_named(max_length=64),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/role.go
        replace_on_changes=("name", "path"),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"[\w+=,.@-]{1,64}",
                "ValidationError: 1 validation error detected: Value '{value}' at 'roleName' failed to satisfy "
                "constraint: Member must have length less than or equal to 64 and satisfy [\\w+=,.@-]+",
            ),
            # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
            require_json("assumeRolePolicy", "MalformedPolicyDocument: This policy contains invalid Json"),
            _check_trust_policy,
            # The number as documented at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
            _limit_length("assumeRolePolicy", 2048, "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"),
        ),
        delete_rules=(
            # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
            refuse_while_used(
                ATTACHMENT, "role", "DeleteConflict: Cannot delete entity, must detach all policies first."
            ),
            # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
            refuse_while_used(ROLE_POLICY, "role", "DeleteConflict: Cannot delete entity, must delete policies first."),
            # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
            refuse_while_used(
                INSTANCE_PROFILE,
                "role",
                "DeleteConflict: Cannot delete entity, must remove roles from instance profile first.",
            ),
        ),
    ),
    ResourceModel(
        ROLE_POLICY,
        id=lambda request: f"{request.get('role')}:{request.get('name')}",
        required=("role", "policy"),
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/role_policy.go
        replace_on_changes=("name", "role"),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
            require_json("policy", "MalformedPolicyDocument: The policy contains invalid Json"),
            _check_identity_policy,
            _limit_length(
                "policy", 10240, "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role {role}"
            ),
        ),
        # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
        state_rules=(require_existing("role", ROLE, "NoSuchEntity: The role with name {value} cannot be found."),),
    ),
    ResourceModel(
        INSTANCE_PROFILE,
        id=get_name,
        outputs={
            "arn": lambda request: (
                f"arn:aws:iam::{request.account['account']}:instance-profile{request.get('path', '/')}"
                f"{request.get('name')}"
            ),
            "uniqueId": lambda request: f"AIPA{request.hex(17).upper()}",
        },
        defaults=auto_named(max_length=128),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/instance_profile.go
        replace_on_changes=("name", "path"),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"[\w+=,.@-]{1,128}",
                "ValidationError: 1 validation error detected: Value '{value}' at 'instanceProfileName' failed to "
                "satisfy constraint: Member must have length less than or equal to 128 and satisfy [\\w+=,.@-]+",
            ),
        ),
        # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
        state_rules=(require_existing("role", ROLE, "NoSuchEntity: The role with name {value} cannot be found."),),
    ),
    ResourceModel(
        ATTACHMENT,
        id=lambda request: f"{request.get('role')}/{request.get('policyArn')}",
        required=("role", "policyArn"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/role_policy_attachment.go
        replace_on_changes=("role", "policyArn"),
        transitions=UNRESTRICTED,
        # Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html
        state_rules=(require_existing("role", ROLE, "NoSuchEntity: The role with name {value} cannot be found."),),
        notes=(_note_managed_policy,),
    ),
)
