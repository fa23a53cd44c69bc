"""Key Vault: vaults, keys and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.azure.arm import arm, sibling
from rehearsal.simulator.core.resource_model import ResourceRequest, in_range, matches, one_of, refuse_when

_VAULT = "Microsoft.KeyVault/vaults/{vaultName}"
VAULT = "azure-native:keyvault:Vault"
_NAME = r"[0-9A-Za-z-]{1,127}"


def protected_from_purge(request: ResourceRequest, vault_uri: str) -> bool:
    """Whether the vault at this address, if it is known, is fit for keys that services depend on."""
    for vault in request.state.all(VAULT):
        if vault.outputs["properties"]["vaultUri"].rstrip("/") == vault_uri.rstrip("/"):
            return bool(vault.inputs["properties"].get("enablePurgeProtection"))
    return True


def _properties(request: ResourceRequest) -> Mapping[str, Any]:
    address = request.fill("https://{vaultName}.vault.azure.net/")
    return {**request.inputs["properties"], "vaultUri": address, "provisioningState": "Succeeded"}


def _secret_properties(request: ResourceRequest) -> Mapping[str, Any]:
    """Azure's answer leaves the value out."""
    kept = {key: value for key, value in request.inputs["properties"].items() if key != "value"}
    address = request.fill("https://{vaultName}.vault.azure.net/secrets/{secretName}")
    return {**kept, "secretUri": address, "secretUriWithVersion": f"{address}/{request.hex(32)}"}


def _retention_stays(request: ResourceRequest) -> str | None:
    before = request.state.find(request.id) if request.id else None
    if before is None:
        return None
    path = "softDeleteRetentionInDays"
    if before.inputs["properties"].get(path) == request.get(f"properties.{path}"):
        return None
    return f'BadRequest: The property "{path}" has been set already and it can\'t be modified.'


def _tier_has_hsm(request: ResourceRequest) -> str | None:
    vault = sibling(request, _VAULT)
    if vault is None or not str(request.get("properties.kty")).endswith("-HSM"):
        return None
    if vault.inputs["properties"]["sku"]["name"].lower() == "premium":
        return None
    return "BadParameter: HSM-protected keys need a vault of the premium SKU."


MODELS = (
    arm(
        "keyvault:Vault",
        _VAULT,
        located=True,
        outputs={"properties": _properties},
        required=("properties.sku.name", "properties.tenantId"),
        rules=(
            matches(
                "vaultName",
                r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
                "VaultNameNotValid: The vault name '{value}' is invalid. A vault's name must be between 3-24 "
                "alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not "
                "contain consecutive hyphens.",
            ),
            one_of(
                "properties.enablePurgeProtection",
                (True,),
                'BadRequest: The property "enablePurgeProtection" cannot be set to false. Enabling the purge '
                "protection for a vault is an irreversible action.",
            ),
            in_range(
                "properties.softDeleteRetentionInDays",
                7,
                90,
                'BadRequest: The property "softDeleteRetentionInDays" must be between 7 and 90, got {value}.',
            ),
        ),
        state_rules=(_retention_stays,),
    ),
    arm(
        "keyvault:Key",
        _VAULT + "/keys/{keyName}",
        outputs={
            "keyUri": "https://{vaultName}.vault.azure.net/keys/{keyName}",
            "keyUriWithVersion": "https://{vaultName}.vault.azure.net/keys/{keyName}/{hex:32}",
        },
        required=("properties.kty",),
        replace_on_changes=("properties.kty", "properties.keySize"),
        rules=(
            matches("keyName", _NAME, "BadParameter: The key name '{value}' is not 1 to 127 letters, digits or '-'."),
            one_of(
                "properties.kty",
                ("RSA", "RSA-HSM", "EC", "EC-HSM"),
                "BadParameter: The key type '{value}' is not supported.",
            ),
            one_of(
                "properties.keySize",
                (2048, 3072, 4096),
                "BadParameter: The key size {value} is not supported; RSA keys have 2048, 3072 or 4096 bits.",
            ),
        ),
        state_rules=(_tier_has_hsm,),
    ),
    arm(
        "keyvault:Secret",
        _VAULT + "/secrets/{secretName}",
        outputs={"properties": _secret_properties},
        required=("properties.value",),
        rules=(
            matches(
                "secretName", _NAME, "BadParameter: The secret name '{value}' is not 1 to 127 letters, digits or '-'."
            ),
            refuse_when(
                lambda request: (
                    isinstance(request.get("properties.value"), str) and len(request.get("properties.value")) > 25_600
                ),
                "BadParameter: The secret value exceeds the maximum length of 25k bytes.",
            ),
        ),
    ),
)
