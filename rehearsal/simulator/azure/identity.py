"""The resource group, user-assigned identities and role assignments."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rehearsal.simulator.azure.arm import STABLE_OUTPUTS, arm_model, get_location, require_location
from rehearsal.simulator.azure.defaults import auto_named, default_location
from rehearsal.simulator.core.circumstances import Person
from rehearsal.simulator.core.one_writer import OneWriter
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest, Rule, StateReader
from rehearsal.simulator.core.rules import matches, refuse_when
from rehearsal.simulator.core.transitions import refuse_change

IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_ASSIGNMENT_PATH = "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}"

# Some of the roles listed at https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES: Mapping[str, str] = {
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
    "b556d68e-0be0-4f35-a333-ad7ee1ce17ea": "Azure AI Enterprise Network Connection Approver",
    "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b": "Azure Kubernetes Service RBAC Cluster Admin",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
    "f25e0fa2-a7c8-4377-a976-54943a77a395": "Key Vault Contributor",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "f1a07417-d97a-45cb-824c-7a7467783830": "Managed Identity Operator",
    "4d97b98b-1d4f-4787-a291-c67834d212e7": "Network Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
}


# The object IDs of the identities that deploy: obviously artificial, and not to be mistaken for real ones.
OBJECT_IDS = {person: f"00000000-0000-4000-8000-00000000000{4 + number}" for number, person in enumerate(Person)}
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


_PRINCIPAL_NOT_FOUND = (
    "PrincipalNotFound: Principal {principal} does not exist in the directory {tenant}. Check that you have the "
    "correct principal ID."
)


def get_object_id(account: Mapping[str, str]) -> str:
    """The object ID, in the directory, of the identity that deploys."""
    return OBJECT_IDS[Person(account["caller"])]


def has_role(state: StateReader, principal: str, role: str, target: str) -> bool:
    """Whether a principal has the named role on a resource or on a scope that contains it."""
    return any(
        assignment.inputs["principalId"] == principal
        and ROLES.get(assignment.inputs["roleDefinitionId"].rsplit("/", 1)[-1]) == role
        and f"{target.lower()}/".startswith(f"{assignment.inputs['scope'].lower()}/")
        for assignment in state.all(ASSIGNMENT)
    )


def require_principal(path: str, type_path: str = "", message: str = _PRINCIPAL_NOT_FOUND) -> Rule:
    """The principal at `path` must be an identity of the subscription, or the caller.

    type_path  path of the principal's type, if requests state it. Users and groups of the directory are not
               simulated; they are assumed to exist
    message    contains the principal as `{principal}`, and the directory as `{tenant}`

    Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
    """

    def rule(request: ResourceRequest) -> str | None:
        if type_path and request.get(type_path) in ("Group", "User"):
            return None
        principal = request.get(path)
        principals = [identity.outputs["principalId"] for identity in request.state.all(IDENTITY)]
        if principal in (*principals, get_object_id(request.account)):
            return None
        return message.format(principal=principal, tenant=request.account["tenantId"])

    return rule


# Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/8547
def _refuse_malformed_role(request: ResourceRequest) -> str | None:
    role = request.get("roleDefinitionId")
    if not isinstance(role, str) or GUID.fullmatch(role.rsplit("/", 1)[-1].lower()):
        return None
    return f"InvalidRoleDefinitionId: The role definition ID '{role.rsplit('/', 1)[-1]}' is not valid."


def _note_role(request: ResourceRequest) -> str | None:
    """For built-in roles that are not listed above, and custom roles of the subscription."""
    role = request.get("roleDefinitionId")
    is_known = not isinstance(role, str) or role.rsplit("/", 1)[-1].lower() in ROLES
    return None if is_known else f"whether Azure has the role definition '{role}', and what it allows"


# Source: https://github.com/Azure-Samples/azure-search-openai-demo/issues/1091
def _require_new_assignment(request: ResourceRequest) -> str | None:
    keys = ("scope", "principalId", "roleDefinitionId")
    for other in request.state.all(ASSIGNMENT):
        if other.id != request.id and all(other.inputs[key] == request.get(key) for key in keys):
            return f"RoleAssignmentExists: The role assignment already exists. The ID is {other.id.rsplit('/', 1)[-1]}."
    return None


# Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
def _require_new_subject(request: ResourceRequest) -> str | None:
    for other in request.state.all("azure-native:managedidentity:FederatedIdentityCredential"):
        is_same = all(other.inputs[key] == request.get(key) for key in ("resourceName", "issuer", "subject"))
        if is_same and other.id != request.id:
            return (
                "BadRequest: Issuer and subject combination already exists for this Managed Identity. Combination must "
                "be unique."
            )
    return None


MODELS = (
    ResourceModel(
        "azure-native:resources:ResourceGroup",
        id=_GROUP,
        outputs={"name": "{resourceGroupName}", "location": get_location, "type": "Microsoft.Resources/resourceGroups"},
        required=("resourceGroupName",),
        defaults={**auto_named(_GROUP), "location": default_location},
        # Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=("resourceGroupName", "location"),
        transitions=UNRESTRICTED,
        stable_outputs=STABLE_OUTPUTS,
        rules=(
            require_location,
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftresources
            matches(
                "resourceGroupName",
                r"[\w.()-]{0,89}[\w()-]",
                "InvalidResourceGroup: The provided resource group name '{value}' has these invalid characters or "
                "length: it can only include alphanumeric, underscore, parentheses, hyphen, period (except at end), "
                "and be up to 90 characters long.",
            ),
        ),
    ),
    arm_model(
        "managedidentity:UserAssignedIdentity",
        "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
        transitions=UNRESTRICTED,
        located=True,
        outputs={
            "principalId": lambda request: request.uuid("principal"),
            "clientId": lambda request: request.uuid("client"),
            "tenantId": "{tenantId}",
        },
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmanagedidentity
            matches(
                "resourceName",
                r"[A-Za-z0-9][\w-]{2,127}",
                "InvalidResourceName: The resource name '{value}' must be 3 to 128 letters, digits, '-' or '_'.",
            ),
        ),
    ),
    arm_model(
        "managedidentity:FederatedIdentityCredential",
        "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}/federatedIdentityCredentials/"
        "{federatedIdentityCredentialResourceName}",
        required=("issuer", "subject", "audiences"),
        transitions=UNRESTRICTED,
        rules=(
            matches("issuer", r"https://\S+", "BadRequest: Issuer '{value}' is not a valid https URL."),
            # Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
            matches(
                "federatedIdentityCredentialResourceName",
                r"[A-Za-z0-9][\w-]{2,119}",
                "BadRequest: Federated Identity Credential name '{value}' is invalid. It must be 3 to 120 letters, "
                "digits, '-' or '_'.",
            ),
            # Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
            refuse_when(
                lambda request: isinstance(request.get("audiences"), list) and len(request.get("audiences")) != 1,
                "BadRequest: Federated identity credentials must have exactly one audience.",
            ),
        ),
        state_rules=(_require_new_subject,),
        # Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations#errors
        one_writer=OneWriter(
            "userAssignedIdentities",
            "Conflict: Concurrent write request to federated identity credential resources under the same "
            "user-assigned identity has been denied. The identity is {parent}.",
        ),
    ),
    ResourceModel(
        ASSIGNMENT,
        id=_ASSIGNMENT_PATH,
        outputs={
            "name": lambda request: request.id.rsplit("/", 1)[-1],
            "type": "Microsoft.Authorization/roleAssignments",
        },
        required=("scope", "principalId", "roleDefinitionId", "roleAssignmentName"),
        defaults=auto_named(_ASSIGNMENT_PATH),
        # Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=("scope", "principalId", "roleAssignmentName"),
        transitions=(
            # Documented at https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
            refuse_change(
                "roleDefinitionId",
                "RoleAssignmentUpdateNotPermitted: The role of an assignment cannot be updated from {old} to {new}.",
            ),
        ),
        stable_outputs=STABLE_OUTPUTS,
        rules=(
            # Source: https://learn.microsoft.com/rest/api/authorization/role-assignments/create
            matches(
                "roleAssignmentName",
                GUID.pattern,
                "InvalidRoleAssignmentId: The role assignment ID '{value}' is not valid. It must be a GUID.",
            ),
            _refuse_malformed_role,
        ),
        state_rules=(require_principal("principalId", "principalType"), _require_new_assignment),
        notes=(_note_role,),
    ),
)
