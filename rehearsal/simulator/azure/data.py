"""Stores of files: the container registry and storage accounts."""

from __future__ import annotations

from rehearsal.simulator.azure.arm import arm, sibling
from rehearsal.simulator.azure.vault import protected_from_purge
from rehearsal.simulator.core.resource_model import ResourceRequest, Rule, in_range, matches, one_of, refuse_when
from rehearsal.simulator.core.values import UNKNOWN

_ACCOUNT = "Microsoft.Storage/storageAccounts/{accountName}"

# Container registry


def _needs_premium(request: ResourceRequest) -> str | None:
    if request.get("sku.name") in (UNKNOWN, "Premium"):
        return None
    asked = {
        "publicNetworkAccess": request.get("publicNetworkAccess") == "Disabled",
        "networkRuleSet": request.get("networkRuleSet.defaultAction") == "Deny",
        "encryption": request.get("encryption.status") == "enabled",
        "retentionPolicy": request.get("policies.retentionPolicy.status") == "enabled",
        "zoneRedundancy": request.get("zoneRedundancy") == "Enabled",
        "dataEndpointEnabled": request.get("dataEndpointEnabled") is True,
    }
    refused = next((feature for feature, wanted in asked.items() if wanted), None)
    if refused is None:
        return None
    return f"The property '{refused}' is not supported by the SKU '{request.get('sku.name')}': use Premium."


def _exports_while_public(request: ResourceRequest) -> bool:
    closed = request.get("policies.exportPolicy.status") == "disabled"
    return bool(closed and request.get("publicNetworkAccess", "Enabled") == "Enabled")


_REGISTRY = (
    arm(
        "containerregistry:Registry",
        "Microsoft.ContainerRegistry/registries/{registryName}",
        located=True,
        identity=True,
        outputs={
            "loginServer": lambda request: f"{request.get('registryName')}.azurecr.io".lower(),
            "provisioningState": "Succeeded",
        },
        required=("sku.name",),
        replace_on_changes=("zoneRedundancy", "encryption.status"),
        rules=(
            matches(
                "registryName",
                r"[A-Za-z0-9]{5,50}",
                "The registry name '{value}' is invalid: it must be 5 to 50 alphanumeric characters.",
            ),
            one_of("sku.name", ("Basic", "Standard", "Premium"), "The SKU '{value}' is not known."),
            _needs_premium,
            refuse_when(
                _exports_while_public,
                "Exports can be disabled only where public network access is disabled.",
            ),
            in_range(
                "policies.retentionPolicy.days",
                0,
                365,
                "{value} is not between 0 and 365 days.",
            ),
        ),
    ),
)

# Storage accounts

_SKUS = (
    "Standard_LRS",
    "Standard_ZRS",
    "Standard_GRS",
    "Standard_GZRS",
    "Standard_RAGRS",
    "Standard_RAGZRS",
    "Premium_LRS",
    "Premium_ZRS",
)


def _key_without_vault(request: ResourceRequest) -> bool:
    own = bool(request.get("encryption.keySource") == "Microsoft.Keyvault")
    return own and request.get("encryption.keyVaultProperties") is None


def _key_is_protected(request: ResourceRequest) -> str | None:
    uri = request.get("encryption.keyVaultProperties.keyVaultUri")
    if uri is None or protected_from_purge(request, uri):
        return None
    return (
        "KeyVaultPolicyError: Keyvault policy recoverable is not set. The vault must have soft delete and purge "
        "protection enabled."
    )


def _public_container(request: ResourceRequest) -> str | None:
    account = sibling(request, _ACCOUNT)
    if request.get("publicAccess", "None") == "None" or account is None:
        return None
    if account.inputs.get("allowBlobPublicAccess") is True:
        return None
    return "PublicAccessNotPermitted: Public access is not permitted on this storage account."


def _days(path: str) -> Rule:
    return in_range(path, 1, 365, "InvalidValuesForRequestParameters: {value} is not between 1 and 365 days.")


_STORAGE = (
    arm(
        "storage:StorageAccount",
        _ACCOUNT,
        located=True,
        identity=True,
        outputs={
            "primaryEndpoints": lambda request: {
                part: request.fill(f"https://{{accountName}}.{part}.core.windows.net/")
                for part in ("blob", "dfs", "file", "queue", "table", "web")
            },
            "primaryLocation": lambda request: request.get("location") or request.account["location"],
            "provisioningState": "Succeeded",
        },
        required=("sku.name", "kind"),
        replace_on_changes=("kind", "isHnsEnabled", "encryption.requireInfrastructureEncryption"),
        rules=(
            matches(
                "accountName",
                r"[a-z0-9]{3,24}",
                "AccountNameInvalid: {value} is not a valid storage account name. Storage account name must be between "
                "3 and 24 characters in length and use numbers and lower-case letters only.",
            ),
            one_of("sku.name", _SKUS, "InvalidValuesForRequestParameters: Values for sku are invalid: {value}."),
            refuse_when(
                _key_without_vault,
                "The property keyVaultProperties is required when keySource is Microsoft.Keyvault.",
            ),
        ),
        state_rules=(_key_is_protected,),
    ),
    arm(
        "storage:BlobServiceProperties",
        _ACCOUNT + "/blobServices/{blobServicesName}",
        rules=(
            one_of("blobServicesName", ("default",), "InvalidResourceName: a blob service's name is 'default'."),
            _days("deleteRetentionPolicy.days"),
            _days("containerDeleteRetentionPolicy.days"),
        ),
    ),
    arm(
        "storage:BlobContainer",
        _ACCOUNT + "/blobServices/default/containers/{containerName}",
        parent=_ACCOUNT,
        rules=(
            matches(
                "containerName",
                r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
                "The specified resource name '{value}' contains invalid characters or has an invalid length.",
            ),
        ),
        state_rules=(_public_container,),
    ),
    arm(
        "storage:ManagementPolicy",
        _ACCOUNT + "/managementPolicies/{managementPolicyName}",
        required=("policy.rules",),
        rules=(one_of("managementPolicyName", ("default",), "InvalidResourceName: a management policy is 'default'."),),
    ),
)

MODELS = (*_REGISTRY, *_STORAGE)
