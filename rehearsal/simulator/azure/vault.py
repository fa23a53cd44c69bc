"""Key Vault: vaults, keys and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.azure.arm import arm, sibling
from rehearsal.simulator.core.resource_model import Draft, matches, one_of, unless, within

_VAULT = "Microsoft.KeyVault/vaults/{vaultName}"
VAULT = "azure-native:keyvault:Vault"
_NAME = r"[0-9A-Za-z-]{1,127}"


def protected_from_purge(draft: Draft, vault_uri: str) -> bool:
    """Whether the vault at this address, if it is known, is fit for keys that services depend on."""
    for vault in draft.world.all(VAULT):
        if vault.outputs["properties"]["vaultUri"].rstrip("/") == vault_uri.rstrip("/"):
            return bool(vault.inputs["properties"].get("enablePurgeProtection"))
    return True


def _properties(draft: Draft) -> Mapping[str, Any]:
    address = draft.fill("https://{vaultName}.vault.azure.net/")
    return {**draft.inputs["properties"], "vaultUri": address, "provisioningState": "Succeeded"}


def _secret_properties(draft: Draft) -> Mapping[str, Any]:
    """Azure's answer leaves the value out."""
    kept = {key: value for key, value in draft.inputs["properties"].items() if key != "value"}
    address = draft.fill("https://{vaultName}.vault.azure.net/secrets/{secretName}")
    return {**kept, "secretUri": address, "secretUriWithVersion": f"{address}/{draft.hex(32)}"}


def _retention_stays(draft: Draft) -> str | None:
    before = draft.world.find(draft.id) if draft.id else None
    if before is None:
        return None
    path = "softDeleteRetentionInDays"
    if before.inputs["properties"].get(path) == draft.get(f"properties.{path}"):
        return None
    return f'BadRequest: The property "{path}" has been set already and it can\'t be modified.'


def _tier_has_hsm(draft: Draft) -> str | None:
    vault = sibling(draft, _VAULT)
    if vault is None or not str(draft.get("properties.kty")).endswith("-HSM"):
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
            within(
                "properties.softDeleteRetentionInDays",
                7,
                90,
                'BadRequest: The property "softDeleteRetentionInDays" must be between 7 and 90, got {value}.',
            ),
        ),
        live=(_retention_stays,),
    ),
    arm(
        "keyvault:Key",
        _VAULT + "/keys/{keyName}",
        outputs={
            "keyUri": "https://{vaultName}.vault.azure.net/keys/{keyName}",
            "keyUriWithVersion": "https://{vaultName}.vault.azure.net/keys/{keyName}/{hex:32}",
        },
        required=("properties.kty",),
        replaces=("properties.kty", "properties.keySize"),
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
        live=(_tier_has_hsm,),
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
            unless(
                lambda draft: (
                    isinstance(draft.get("properties.value"), str) and len(draft.get("properties.value")) > 25_600
                ),
                "BadParameter: The secret value exceeds the maximum length of 25k bytes.",
            ),
        ),
    ),
)
