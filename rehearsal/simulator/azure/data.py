"""Stores of files: the container registry and storage accounts."""

from __future__ import annotations

from rehearsal.simulator.azure.arm import arm, sibling
from rehearsal.simulator.azure.vault import protected_from_purge
from rehearsal.simulator.core.resource_model import Draft, Rule, matches, one_of, unless, within
from rehearsal.simulator.core.values import UNKNOWN

_ACCOUNT = "Microsoft.Storage/storageAccounts/{accountName}"

# Container registry


def _needs_premium(draft: Draft) -> str | None:
    if draft.get("sku.name") in (UNKNOWN, "Premium"):
        return None
    asked = {
        "publicNetworkAccess": draft.get("publicNetworkAccess") == "Disabled",
        "networkRuleSet": draft.get("networkRuleSet.defaultAction") == "Deny",
        "encryption": draft.get("encryption.status") == "enabled",
        "retentionPolicy": draft.get("policies.retentionPolicy.status") == "enabled",
        "zoneRedundancy": draft.get("zoneRedundancy") == "Enabled",
        "dataEndpointEnabled": draft.get("dataEndpointEnabled") is True,
    }
    refused = next((feature for feature, wanted in asked.items() if wanted), None)
    if refused is None:
        return None
    return f"The property '{refused}' is not supported by the SKU '{draft.get('sku.name')}': use Premium."


def _exports_while_public(draft: Draft) -> bool:
    closed = draft.get("policies.exportPolicy.status") == "disabled"
    return bool(closed and draft.get("publicNetworkAccess", "Enabled") == "Enabled")


_REGISTRY = (
    arm(
        "containerregistry:Registry",
        "Microsoft.ContainerRegistry/registries/{registryName}",
        located=True,
        identity=True,
        outputs={
            "loginServer": lambda draft: f"{draft.get('registryName')}.azurecr.io".lower(),
            "provisioningState": "Succeeded",
        },
        required=("sku.name",),
        replaces=("zoneRedundancy", "encryption.status"),
        rules=(
            matches(
                "registryName",
                r"[A-Za-z0-9]{5,50}",
                "The registry name '{value}' is invalid: it must be 5 to 50 alphanumeric characters.",
            ),
            one_of("sku.name", ("Basic", "Standard", "Premium"), "The SKU '{value}' is not known."),
            _needs_premium,
            unless(
                _exports_while_public,
                "Exports can be disabled only where public network access is disabled.",
            ),
            within(
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


def _key_without_vault(draft: Draft) -> bool:
    own = bool(draft.get("encryption.keySource") == "Microsoft.Keyvault")
    return own and draft.get("encryption.keyVaultProperties") is None


def _key_is_protected(draft: Draft) -> str | None:
    uri = draft.get("encryption.keyVaultProperties.keyVaultUri")
    if uri is None or protected_from_purge(draft, uri):
        return None
    return (
        "KeyVaultPolicyError: Keyvault policy recoverable is not set. The vault must have soft delete and purge "
        "protection enabled."
    )


def _public_container(draft: Draft) -> str | None:
    account = sibling(draft, _ACCOUNT)
    if draft.get("publicAccess", "None") == "None" or account is None:
        return None
    if account.inputs.get("allowBlobPublicAccess") is True:
        return None
    return "PublicAccessNotPermitted: Public access is not permitted on this storage account."


def _days(path: str) -> Rule:
    return within(path, 1, 365, "InvalidValuesForRequestParameters: {value} is not between 1 and 365 days.")


_STORAGE = (
    arm(
        "storage:StorageAccount",
        _ACCOUNT,
        located=True,
        identity=True,
        outputs={
            "primaryEndpoints": lambda draft: {
                part: draft.fill(f"https://{{accountName}}.{part}.core.windows.net/")
                for part in ("blob", "dfs", "file", "queue", "table", "web")
            },
            "primaryLocation": lambda draft: draft.get("location") or draft.facts["location"],
            "provisioningState": "Succeeded",
        },
        required=("sku.name", "kind"),
        replaces=("kind", "isHnsEnabled", "encryption.requireInfrastructureEncryption"),
        rules=(
            matches(
                "accountName",
                r"[a-z0-9]{3,24}",
                "AccountNameInvalid: {value} is not a valid storage account name. Storage account name must be between "
                "3 and 24 characters in length and use numbers and lower-case letters only.",
            ),
            one_of("sku.name", _SKUS, "InvalidValuesForRequestParameters: Values for sku are invalid: {value}."),
            unless(
                _key_without_vault,
                "The property keyVaultProperties is required when keySource is Microsoft.Keyvault.",
            ),
        ),
        live=(_key_is_protected,),
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
        live=(_public_container,),
    ),
    arm(
        "storage:ManagementPolicy",
        _ACCOUNT + "/managementPolicies/{managementPolicyName}",
        required=("policy.rules",),
        rules=(one_of("managementPolicyName", ("default",), "InvalidResourceName: a management policy is 'default'."),),
    ),
)

MODELS = (*_REGISTRY, *_STORAGE)
