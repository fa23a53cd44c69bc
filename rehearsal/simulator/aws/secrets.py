"""AWS KMS keys and Secrets Manager secrets."""

from __future__ import annotations

from kernel.iam import allows, statements
from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.remains import SECRET
from rehearsal.simulator.aws.rules import arn_template, get_name
from rehearsal.simulator.core.remains import is_account_used
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import in_range, matches, one_of, parse_json, require_json, require_unique
from rehearsal.simulator.core.transitions import get_change

_KEY = "aws:kms/key:Key"


# Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
def _check_key_administrator(request: ResourceRequest) -> str | None:
    policy = request.get("policy", UNKNOWN)
    root = f"arn:aws:iam::{request.account['account']}:root"
    if policy is UNKNOWN or parse_json(policy) is None:
        return None
    if allows(policy, "AWS", root, "kms:PutKeyPolicy") is not False:
        return None
    return (
        "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the "
        "future."
    )


# Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
def _require_principals(request: ResourceRequest) -> str | None:
    """Roles in the policy must exist; in a fresh account no service has created its service-linked role yet."""
    for statement in statements(request.get("policy")):
        for principal in statement.principals("AWS"):
            is_service_role = is_account_used(request) and ":role/aws-service-role/" in principal
            is_accepted = principal == "*" or principal.endswith(":root") or is_service_role
            if not is_accepted and request.state.find(principal) is None:
                return (
                    "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals."
                )
    return None


def _refuse_another_kind_of_key(request: ResourceRequest) -> str | None:
    """The message is not AWS's own. Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateAlias.html"""
    change = get_change(request, "targetKeyId")
    if change is None:
        return None
    keys = [next((key for key in request.state.all(_KEY) if key.id == id_), None) for id_ in change]
    kinds = [
        (
            key.inputs.get("keyUsage", "ENCRYPT_DECRYPT"),
            key.inputs.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT"),
        )
        for key in keys
        if key is not None
    ]
    if len(set(kinds)) < 2:
        return None
    return request.fill(
        "ValidationException: The alias {name} cannot point to another kind of key: the current key is "
        f"{' '.join(kinds[0])}, the new one is {' '.join(kinds[1])}."
    )


MODELS = (
    ResourceModel(
        _KEY,
        id="{uuid}",
        outputs={"arn": arn_template("kms", "key/{id}"), "keyId": "{id}"},
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/kms/key.go
        replace_on_changes=("customerMasterKeySpec", "keyUsage", "multiRegion"),
        transitions=UNRESTRICTED,
        rules=(
            in_range(
                "deletionWindowInDays",
                7,
                30,
                "expected deletion_window_in_days to be in the range (7 - 30), got {value}",
            ),
            # Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
            require_json("policy", "MalformedPolicyDocumentException: The policy contains invalid Json"),
            _check_key_administrator,
        ),
        state_rules=(_require_principals,),
    ),
    ResourceModel(
        "aws:kms/alias:Alias",
        id=get_name,
        outputs={
            "arn": arn_template("kms", "{id}"),
            "targetKeyArn": lambda request: request.fill(arn_template("kms", "key/{targetKeyId}")),
        },
        required=("targetKeyId",),
        defaults=auto_named(
            max_length=238, complete=lambda _, name: name if name.startswith("alias/") else f"alias/{name}"
        ),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/kms/alias.go
        replace_on_changes=("name",),
        transitions=(_refuse_another_kind_of_key,),
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
        # Secrets Manager adds six characters, so that a policy for a deleted secret does not apply to a new one.
        id=lambda request: (
            request.fill(arn_template("secretsmanager", "secret:")) + f"{request.get('name')}-{request.hex(6)}"
        ),
        name_path="name",
        outputs={"arn": "{id}"},
        tombstone=SECRET,
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/secretsmanager/secret.go
        replace_on_changes=("name",),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"[A-Za-z0-9/_+=.@!-]{1,512}",
                "ValidationException: Invalid name. Must be a valid name containing alphanumeric characters, or any "
                "of the following: -/_+=.@!",
            ),
            # Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
            one_of(
                "recoveryWindowInDays",
                (0, *range(7, 31)),
                "expected recovery_window_in_days to be 0, or in the range (7 - 30)",
            ),
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
            require_unique(
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
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/secretsmanager/secret_version.go
        replace_on_changes=("secretId", "secretString", "secretBinary"),
        transitions=UNRESTRICTED,
    ),
)
