"""IAM, KMS and Secrets Manager."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.aws.rules import (
    allows,
    arn,
    exists,
    is_json,
    parsed,
    physical,
    principals,
    statements,
    unique,
    unused,
)
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, Rule, in_range, matches
from rehearsal.simulator.core.values import UNKNOWN

ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"

# The roles that AWS's services make for themselves in an account that has used them.
_SERVICE_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/aws-service-role/[a-z0-9.-]+/\w+")
# Policies of AWS's own that can be attached here, by the path below arn:aws:iam::aws:policy/; a few of those at
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
_MANAGED = frozenset(
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


def _trust_is_sound(request: ResourceRequest) -> str | None:
    for statement in statements(request.get("assumeRolePolicy")):
        if "Resource" in statement:
            return "MalformedPolicyDocument: Has prohibited field Resource"
        if "Principal" not in statement:
            return "MalformedPolicyDocument: Missing required field Principal"
    return None


def _permissions_are_sound(request: ResourceRequest) -> str | None:
    """What IAM says of a policy that is attached to an identity."""
    for statement in statements(request.get("policy")):
        complaint = _complaint(statement)
        if complaint:
            return f"MalformedPolicyDocument: {complaint}"
    return None


def _complaint(statement: Mapping[str, Any]) -> str | None:
    if "Principal" in statement:
        return "Policy document should not specify a principal."
    if not {"Action", "NotAction"} & statement.keys():
        return "Policy statement must contain actions."
    if not {"Resource", "NotResource"} & statement.keys():
        return "Policy statement must contain resources."
    actions, resources = _texts(statement, "Action"), _texts(statement, "Resource")
    if any(action != "*" and ":" not in action for action in actions):
        return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
    bad = next((text for text in resources if text != "*" and not text.startswith("arn:")), None)
    return f'Resource {bad} must be in ARN format or "*".' if bad else None


def _texts(statement: Mapping[str, Any], field: str) -> list[str]:
    value = statement.get(field, [])
    return [value] if isinstance(value, str) else [text for text in value if isinstance(text, str)]


def _no_longer(path: str, most: int, words: str) -> Rule:
    """IAM counts a policy without its white space."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        return request.fill(words) if value is not UNKNOWN and len(re.sub(r"\s", "", value)) > most else None

    return rule


def _managed_policy_exists(request: ResourceRequest) -> str | None:
    policy = request.get("policyArn", UNKNOWN)
    if policy is UNKNOWN or not policy.startswith("arn:aws:iam::aws:policy/"):
        return None
    known = policy.removeprefix("arn:aws:iam::aws:policy/") in _MANAGED
    return None if known else f"NoSuchEntity: Policy {policy} does not exist or is not attachable."


def _account_keeps_key(request: ResourceRequest) -> str | None:
    policy = request.get("policy", UNKNOWN)
    root = f"arn:aws:iam::{request.account['account']}:root"
    if policy is UNKNOWN or parsed(policy) is None or allows(policy, "AWS", root, "kms:PutKeyPolicy"):
        return None
    return (
        "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the "
        "future."
    )


def _principals_exist(request: ResourceRequest) -> str | None:
    for statement in statements(request.get("policy")):
        for principal in principals(statement, "AWS"):
            accepted = principal == "*" or principal.endswith(":root") or _SERVICE_ROLE.fullmatch(principal)
            if not accepted and request.state.find(principal) is None:
                return (
                    "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals."
                )
    return None


MODELS = (
    ResourceModel(
        ROLE,
        id=physical,
        outputs={
            "arn": lambda request: (
                f"arn:aws:iam::{request.account['account']}:role{request.get('path', '/')}{request.get('name')}"
            ),
            "uniqueId": lambda request: f"AROA{request.hex(17).upper()}",
            "createDate": lambda _: "2026-01-01T00:00:00Z",
        },
        required=("name", "assumeRolePolicy"),
        replace_on_changes=("name", "path"),
        rules=(
            matches(
                "name",
                r"[\w+=,.@-]{1,64}",
                "ValidationError: 1 validation error detected: Value '{value}' at 'roleName' failed to satisfy "
                "constraint: Member must have length less than or equal to 64 and satisfy [\\w+=,.@-]+",
            ),
            is_json("assumeRolePolicy", "MalformedPolicyDocument: This policy contains invalid Json"),
            _trust_is_sound,
            # The number as documented at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
            _no_longer("assumeRolePolicy", 2048, "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"),
        ),
        delete_rules=(
            unused(ATTACHMENT, "role", "DeleteConflict: Cannot delete entity, must detach all policies first."),
            unused(ROLE_POLICY, "role", "DeleteConflict: Cannot delete entity, must delete policies first."),
        ),
    ),
    ResourceModel(
        ROLE_POLICY,
        id=lambda request: f"{request.get('role')}:{request.get('name')}",
        required=("role", "policy"),
        replace_on_changes=("name", "role"),
        rules=(
            is_json("policy", "MalformedPolicyDocument: The policy contains invalid Json"),
            _permissions_are_sound,
            _no_longer("policy", 10240, "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role {role}"),
        ),
        state_rules=(exists("role", ROLE, "NoSuchEntity: The role with name {value} cannot be found."),),
    ),
    ResourceModel(
        ATTACHMENT,
        id=lambda request: f"{request.get('role')}/{request.get('policyArn')}",
        required=("role", "policyArn"),
        replace_on_changes=("role", "policyArn"),
        rules=(_managed_policy_exists,),
        state_rules=(exists("role", ROLE, "NoSuchEntity: The role with name {value} cannot be found."),),
    ),
    ResourceModel(
        "aws:kms/key:Key",
        id="{uuid}",
        outputs={"arn": arn("kms", "key/{id}"), "keyId": "{id}"},
        replace_on_changes=("customerMasterKeySpec", "keyUsage", "multiRegion"),
        rules=(
            in_range(
                "deletionWindowInDays",
                7,
                30,
                "expected deletion_window_in_days to be in the range (7 - 30), got {value}",
            ),
            is_json("policy", "MalformedPolicyDocumentException: The policy contains invalid Json"),
            _account_keeps_key,
        ),
        state_rules=(_principals_exist,),
    ),
    ResourceModel(
        "aws:kms/alias:Alias",
        id=physical,
        outputs={
            "arn": arn("kms", "{id}"),
            "targetKeyArn": lambda request: request.fill(arn("kms", "key/{targetKeyId}")),
        },
        required=("name", "targetKeyId"),
        replace_on_changes=("name",),
        rules=(
            matches(
                "name",
                r"alias/(?!aws/)[a-zA-Z0-9/_-]{1,250}",
                'name must begin with "alias/" (not "alias/aws/") and be comprised of only [a-zA-Z0-9/_-], '
                "got: {value}",
            ),
        ),
    ),
    ResourceModel(
        "aws:secretsmanager/secret:Secret",
        # Secrets Manager adds six characters, so that a policy for one secret does not fit its successor.
        id=lambda request: request.fill(arn("secretsmanager", "secret:")) + f"{request.get('name')}-{request.hex(6)}",
        name_path="name",
        outputs={"arn": "{id}"},
        required=("name",),
        replace_on_changes=("name",),
        rules=(
            matches(
                "name",
                r"[A-Za-z0-9/_+=.@!-]{1,512}",
                "ValidationException: Invalid name. Must be a valid name containing alphanumeric characters, or any "
                "of the following: -/_+=.@!",
            ),
            lambda request: (
                "expected recovery_window_in_days to be 0, or in the range (7 - 30)"
                if request.get("recoveryWindowInDays", 30) not in (UNKNOWN, 0, *range(7, 31))
                else None
            ),
        ),
        state_rules=(
            unique(
                ["name"],
                "ResourceExistsException: The operation failed because the secret {0} already exists.",
            ),
        ),
    ),
    ResourceModel(
        "aws:secretsmanager/secretVersion:SecretVersion",
        id=lambda request: f"{request.get('secretId')}|{request.uuid()}",
        outputs={
            "arn": lambda request: request.get("secretId"),
            "versionId": lambda request: request.uuid(),
        },
        required=("secretId",),
        replace_on_changes=("secretId", "secretString", "secretBinary"),
    ),
)
