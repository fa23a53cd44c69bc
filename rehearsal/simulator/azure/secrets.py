"""Key Vault: vaults, keys and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rehearsal.simulator.azure.access import find_vault_refusal
from rehearsal.simulator.azure.arm import arm_model, find_in_group
from rehearsal.simulator.core.remains import Tombstone
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest
from rehearsal.simulator.core.rules import in_range, matches, one_of, refuse_when, require_any
from rehearsal.simulator.core.transitions import refuse_change, stays

_VAULT = "azure-native:keyvault:Vault"
_VAULT_PATH = "Microsoft.KeyVault/vaults/{vaultName}"
_NAME = r"[0-9A-Za-z-]{1,127}"
_DEFAULT_RETENTION = 90  # days, https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview


def is_protected_from_purge(request: ResourceRequest, vault_uri: str) -> bool:
    """Whether the vault at a URI has purge protection; True if no such vault exists."""
    for vault in request.state.all(_VAULT):
        if vault.outputs["properties"]["vaultUri"].rstrip("/") == vault_uri.rstrip("/"):
            return bool(vault.inputs["properties"].get("enablePurgeProtection"))
    return True


def _build_properties(request: ResourceRequest) -> Mapping[str, Any]:
    uri = request.fill("https://{vaultName}.vault.azure.net/")
    return {**request.inputs["properties"], "vaultUri": uri, "provisioningState": "Succeeded"}


def _build_secret_properties(request: ResourceRequest) -> Mapping[str, Any]:
    """The properties without the secret's value, which Azure does not return."""
    visible = {key: value for key, value in request.inputs["properties"].items() if key != "value"}
    uri = request.fill("https://{vaultName}.vault.azure.net/secrets/{secretName}")
    return {**visible, "secretUri": uri, "secretUriWithVersion": f"{uri}/{request.hex(32)}"}


def _require_data_plane(request: ResourceRequest) -> str | None:
    """The provider deletes keys and secrets through the vault's data plane, unlike other resources.

    Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/customresources/custom_keyvault.go
    """
    vault = find_in_group(request, _VAULT_PATH)
    return find_vault_refusal(request.state, vault, request.circumstances.caller) or None if vault else None


# Documented at https://learn.microsoft.com/azure/key-vault/keys/about-keys; the message is not Azure's own.
def _require_premium_vault(request: ResourceRequest) -> str | None:
    vault = find_in_group(request, _VAULT_PATH)
    if vault is None or not str(request.get("properties.kty")).endswith("-HSM"):
        return None
    if vault.inputs["properties"]["sku"]["name"].lower() == "premium":
        return None
    return "BadParameter: HSM-protected keys need a vault of the premium SKU."


MODELS = (
    arm_model(
        "keyvault:Vault",
        _VAULT_PATH,
        located=True,
        stays_in_place=True,
        outputs={"properties": _build_properties},
        required=("properties.sku.name", "properties.tenantId"),
        # Purge protection lasts as long as soft delete; the message is the same with and without it.
        tombstone=Tombstone(
            lambda request: str(request.get("vaultName")).lower(),
            lambda request: timedelta(days=request.get("properties.softDeleteRetentionInDays", _DEFAULT_RETENTION)),
            "ConflictError: A vault with the same name {vaultName} already exists in deleted state. You need to either "
            "recover or purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for "
            "more information on soft delete.",
        ),
        transitions=(
            refuse_change(
                "properties.softDeleteRetentionInDays",
                'BadRequest: The property "softDeleteRetentionInDays" has been set already and it can\'t be modified: '
                "{old} cannot become {new}.",
                unset=_DEFAULT_RETENTION,
            ),
            # Source: https://learn.microsoft.com/dotnet/api/azure.resourcemanager.keyvault.models.keyvaultproperties.enablepurgeprotection
            stays(
                "properties.enablePurgeProtection",
                True,
                'BadRequest: The property "enablePurgeProtection" cannot be set to false. Enabling the purge '
                "protection for a vault is an irreversible action.",
            ),
            # Documented at https://learn.microsoft.com/azure/key-vault/general/soft-delete-change
            stays(
                "properties.enableSoftDelete",
                True,
                'BadRequest: The property "enableSoftDelete" cannot be set to false. Enabling the soft delete for a '
                "vault is an irreversible action.",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
            matches(
                "vaultName",
                r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
                "VaultNameNotValid: The vault name '{value}' is invalid. A vault's name must be between 3-24 "
                "alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not "
                "contain consecutive hyphens.",
            ),
            # Source: https://learn.microsoft.com/dotnet/api/azure.resourcemanager.keyvault.models.keyvaultproperties.enablepurgeprotection
            one_of(
                "properties.enablePurgeProtection",
                (True,),
                'BadRequest: The property "enablePurgeProtection" cannot be set to false. Enabling the purge '
                "protection for a vault is an irreversible action.",
            ),
            # Source: https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
            in_range(
                "properties.softDeleteRetentionInDays",
                7,
                90,
                'BadRequest: The property "softDeleteRetentionInDays" must be between 7 and 90, got {value}.',
            ),
        ),
    ),
    arm_model(
        "keyvault:Key",
        _VAULT_PATH + "/keys/{keyName}",
        outputs={
            "keyUri": "https://{vaultName}.vault.azure.net/keys/{keyName}",
            "keyUriWithVersion": "https://{vaultName}.vault.azure.net/keys/{keyName}/{hex:32}",
        },
        required=("properties",),
        # Azure returns an existing key unchanged, even if an update requests another type, size, policy or tag.
        # Source: https://learn.microsoft.com/rest/api/keyvault/keyvault/keys/create-if-not-exist
        transitions=UNRESTRICTED,
        is_never_updated=True,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/keyvault/key_vault_key_resource.go
            require_any(["properties.kty"], "BadParameter: The key has no type: set properties.kty."),
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
            matches("keyName", _NAME, "BadParameter: The key name '{value}' is not 1 to 127 letters, digits or '-'."),
            one_of(
                "properties.kty",
                ("RSA", "RSA-HSM", "EC", "EC-HSM"),
                "BadParameter: The key type '{value}' is not supported.",
            ),
            # Source: https://learn.microsoft.com/rest/api/keyvault/keyvault/keys/create-if-not-exist
            one_of(
                "properties.keySize",
                (2048, 3072, 4096),
                "BadParameter: The key size {value} is not supported; RSA keys have 2048, 3072 or 4096 bits.",
            ),
        ),
        state_rules=(_require_premium_vault,),
        delete_rules=(_require_data_plane,),
    ),
    arm_model(
        "keyvault:Secret",
        _VAULT_PATH + "/secrets/{secretName}",
        outputs={"properties": _build_secret_properties},
        required=("properties",),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/keyvault/key_vault_secret_resource.go
            require_any(["properties.value"], "BadParameter: The secret has no value: set properties.value."),
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
            matches(
                "secretName", _NAME, "BadParameter: The secret name '{value}' is not 1 to 127 letters, digits or '-'."
            ),
            # Source: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
            refuse_when(
                lambda request: (
                    isinstance(request.get("properties.value"), str) and len(request.get("properties.value")) > 25_600
                ),
                "BadParameter: The secret value exceeds the maximum length of 25k bytes.",
            ),
        ),
        delete_rules=(_require_data_plane,),
    ),
)
