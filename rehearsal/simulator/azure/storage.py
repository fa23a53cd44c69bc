"""The container registry and storage accounts."""

from __future__ import annotations

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, find_in_group, get_location
from rehearsal.simulator.azure.secrets import is_protected_from_purge
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest, Rule
from rehearsal.simulator.core.rules import in_range, matches, note_unlisted, one_of, refuse_when
from rehearsal.simulator.core.transitions import refuse_change, refuse_change_when, stays

_ACCOUNT = "Microsoft.Storage/storageAccounts/{accountName}"


# Container registry
# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/containers/container_registry_resource.go
def _require_premium(request: ResourceRequest) -> str | None:
    if request.get("sku.name") in (UNKNOWN, "Premium"):
        return None
    premium_features = {
        "publicNetworkAccess": request.get("publicNetworkAccess") == "Disabled",
        "networkRuleSet": request.get("networkRuleSet.defaultAction") == "Deny",
        "encryption": request.get("encryption.status") == "enabled",
        "retentionPolicy": request.get("policies.retentionPolicy.status") == "enabled",
        "zoneRedundancy": request.get("zoneRedundancy") == "Enabled",
        "dataEndpointEnabled": request.get("dataEndpointEnabled") is True,
    }
    refused = next((feature for feature, is_requested in premium_features.items() if is_requested), None)
    if refused is None:
        return None
    return f"The property '{refused}' is not supported by the SKU '{request.get('sku.name')}': use Premium."


# Source: https://learn.microsoft.com/azure/container-registry/data-loss-prevention
def _disables_exports_while_public(request: ResourceRequest) -> bool:
    is_disabled = request.get("policies.exportPolicy.status") == "disabled"
    return bool(is_disabled and request.get("publicNetworkAccess", "Enabled") == "Enabled")


# Storage accounts
# Some of the SKUs listed at https://learn.microsoft.com/rest/api/storagerp/srp_sku_types
_ACCOUNT_SKUS = (
    "Standard_LRS",
    "Standard_ZRS",
    "Standard_GRS",
    "Standard_GZRS",
    "Standard_RAGRS",
    "Standard_RAGZRS",
    "Premium_LRS",
    "Premium_ZRS",
)


# Pairs of a kind and the kind to which it can be upgraded.
# Source: https://learn.microsoft.com/azure/storage/common/storage-account-upgrade
_KIND_UPGRADES = {("Storage", "StorageV2"), ("BlobStorage", "StorageV2")}


def _needs_migration(old: str, new: str) -> bool:
    """Whether a change of SKU needs a migration: between performance tiers, or to or from zone redundancy.

    Source: https://learn.microsoft.com/azure/storage/common/redundancy-migration
    """
    tiers, redundancies = zip(*(sku.split("_") for sku in (old, new)), strict=True)
    return tiers[0] != tiers[1] or ("ZRS" in redundancies[0]) != ("ZRS" in redundancies[1])


def _lacks_vault(request: ResourceRequest) -> bool:
    has_customer_managed_key = bool(request.get("encryption.keySource") == "Microsoft.Keyvault")
    return has_customer_managed_key and request.get("encryption.keyVaultProperties") is None


# Source: https://learn.microsoft.com/azure/storage/common/customer-managed-keys-configure-new-account
def _check_key_vault(request: ResourceRequest) -> str | None:
    uri = request.get("encryption.keyVaultProperties.keyVaultUri")
    if uri is None or is_protected_from_purge(request, uri):
        return None
    return (
        "KeyVaultPolicyError: Keyvault policy recoverable is not set. The vault must have soft delete and purge "
        "protection enabled."
    )


# Source: https://learn.microsoft.com/azure/storage/blobs/anonymous-read-access-prevent
def _refuse_public_container(request: ResourceRequest) -> str | None:
    account = find_in_group(request, _ACCOUNT)
    if request.get("publicAccess", "None") == "None" or account is None:
        return None
    if account.inputs.get("allowBlobPublicAccess") is True:
        return None
    return "PublicAccessNotPermitted: Public access is not permitted on this storage account."


# Source: https://learn.microsoft.com/rest/api/storagerp/blob-services/set-service-properties
def _check_days(path: str) -> Rule:
    return in_range(path, 1, 365, "InvalidValuesForRequestParameters: {value} is not between 1 and 365 days.")


MODELS = (
    arm_model(
        "containerregistry:Registry",
        "Microsoft.ContainerRegistry/registries/{registryName}",
        located=True,
        identity=True,
        outputs={
            "loginServer": lambda request: f"{request.get('registryName')}.azurecr.io".lower(),
            "provisioningState": "Succeeded",
        },
        required=("sku.name",),
        # The messages are not Azure's own.
        transitions=(
            # Documented at https://learn.microsoft.com/azure/container-registry/zone-redundancy
            stays("zoneRedundancy", "Enabled", "Zone redundancy of a registry cannot be disabled."),
            # Documented at https://learn.microsoft.com/azure/container-registry/container-registry-customer-managed-keys
            refuse_change(
                "encryption.status",
                "Encryption with a customer-managed key is enabled when the registry is created, and stays enabled: "
                "{old} cannot become {new}.",
                unset="disabled",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcontainerregistry
            matches(
                "registryName",
                r"[A-Za-z0-9]{5,50}",
                "The registry name '{value}' is invalid: it must be 5 to 50 alphanumeric characters.",
            ),
            one_of("sku.name", ("Basic", "Standard", "Premium"), "The SKU '{value}' is not known."),
            _require_premium,
            refuse_when(
                _disables_exports_while_public,
                "Exports can be disabled only if public network access is disabled.",
            ),
            # Source: https://learn.microsoft.com/azure/container-registry/container-registry-retention-policy
            in_range(
                "policies.retentionPolicy.days",
                0,
                365,
                "{value} is not between 0 and 365 days.",
            ),
        ),
    ),
    arm_model(
        "storage:StorageAccount",
        _ACCOUNT,
        located=True,
        identity=True,
        outputs={
            "primaryEndpoints": lambda request: {
                part: request.fill(f"https://{{accountName}}.{part}.core.windows.net/")
                for part in ("blob", "dfs", "file", "queue", "table", "web")
            },
            "primaryLocation": get_location,
            "provisioningState": "Succeeded",
        },
        required=("sku.name", "kind"),
        # Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=("isHnsEnabled",),
        transitions=(
            refuse_change_when(
                "kind",
                lambda old, new: (old, new) not in _KIND_UPGRADES,
                "AccountPropertyCannotBeUpdated: The property 'kind' was specified in the input, but it cannot be "
                "updated from {old} to {new}.",
            ),
            # Source: https://learn.microsoft.com/azure/storage/common/infrastructure-encryption-enable
            refuse_change(
                "encryption.requireInfrastructureEncryption",
                "AccountPropertyCannotBeUpdated: The property 'encryption.requireInfrastructureEncryption' was "
                "specified in the input, but it cannot be updated from {old} to {new}.",
            ),
            refuse_change_when(
                "sku.name",
                _needs_migration,
                "InvalidAccountTypeConversion: The storage account cannot be converted from {old} to {new} by an "
                "update: request a conversion, or migrate the data.",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage
            matches(
                "accountName",
                r"[a-z0-9]{3,24}",
                "AccountNameInvalid: {value} is not a valid storage account name. Storage account name must be between "
                "3 and 24 characters in length and use numbers and lower-case letters only.",
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/658
            refuse_when(
                _lacks_vault,
                "MissingKeyvaultProperties: The encryption keyvault properties are missing from the request.",
            ),
        ),
        state_rules=(_check_key_vault,),
        notes=(note_unlisted("sku.name", _ACCOUNT_SKUS, "whether storage accounts have the SKU"),),
    ),
    arm_model(
        "storage:BlobServiceProperties",
        _ACCOUNT + "/blobServices/{blobServicesName}",
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage
            one_of("blobServicesName", ("default",), "InvalidResourceName: a blob service's name is 'default'."),
            _check_days("deleteRetentionPolicy.days"),
            _check_days("containerDeleteRetentionPolicy.days"),
        ),
    ),
    arm_model(
        "storage:BlobContainer",
        _ACCOUNT + "/blobServices/default/containers/{containerName}",
        transitions=UNRESTRICTED,
        parent=_ACCOUNT,
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage
            matches(
                "containerName",
                r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
                "The specified resource name '{value}' contains invalid characters or has an invalid length.",
            ),
        ),
        state_rules=(_refuse_public_container,),
    ),
    arm_model(
        "storage:ManagementPolicy",
        _ACCOUNT + "/managementPolicies/{managementPolicyName}",
        transitions=UNRESTRICTED,
        required=("policy.rules",),
        # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage
        rules=(one_of("managementPolicyName", ("default",), "InvalidResourceName: a management policy is 'default'."),),
    ),
)
