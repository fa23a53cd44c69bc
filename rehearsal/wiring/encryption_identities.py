"""Checks that resources encrypted with a key in a vault have an identity that may use the key.

Source: https://learn.microsoft.com/azure/storage/common/customer-managed-keys-overview, and likewise for others.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.simulator.core.values import find_strings
from rehearsal.wiring.grants import has_azure_role
from rehearsal.wiring.graph import Wiring, describe, is_same

_VAULT = "azure-native:keyvault:Vault"
_KEY_ROLES = ("Key Vault Crypto Service Encryption User", "Key Vault Crypto User", "Key Vault Administrator")
# For each type: the paths of the key or its vault, and of the identity that uses it (an ID or a client ID).
_ENCRYPTED = {
    "azure-native:storage:StorageAccount": (
        "encryption.keyVaultProperties.keyVaultUri",
        "encryption.encryptionIdentity.encryptionUserAssignedIdentity",
    ),
    "azure-native:containerregistry:Registry": (
        "encryption.keyVaultProperties.keyIdentifier",
        "encryption.keyVaultProperties.identity",
    ),
    "azure-native:dbforpostgresql:Server": (
        "dataEncryption.primaryKeyURI",
        "dataEncryption.primaryUserAssignedIdentityId",
    ),
    "azure-native:compute:DiskEncryptionSet": ("activeKey.keyUrl", "identity.userAssignedIdentities"),
    "azure-native:cosmosdb:DatabaseAccount": ("keyVaultKeyUri", "defaultIdentity"),
    "azure-native:machinelearningservices:Workspace": (
        "encryption.keyVaultProperties.keyIdentifier",
        "encryption.identity.userAssignedIdentity",
    ),
}
_IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for type_ in _ENCRYPTED:
        for resource in wiring.clouds.all(type_):
            yield from check_resource(wiring, resource)


def check_resource(wiring: Wiring, resource: Resource) -> Iterator[Problem]:
    """Check one resource of any type."""
    if resource.type not in _ENCRYPTED:
        return
    key_path, identity_path = _ENCRYPTED[resource.type]
    key = look_up(resource.inputs, key_path, None)
    if isinstance(key, str):
        yield from _check(wiring, resource, key, as_list(look_up(resource.inputs, identity_path, None)))


def _check(wiring: Wiring, resource: Resource, key: str, named: list[object]) -> Iterator[Problem]:
    host = key.partition("://")[2].partition("/")[0]
    vaults = [
        vault
        for vault in wiring.clouds.all(_VAULT)
        if host and host in str(look_up(vault.outputs, "properties.vaultUri", ""))
    ]
    if not named:
        yield Problem(describe(resource), f"it names no identity that uses the key in {host}", "name one that may")
    attached = {text.lower() for text in find_strings(resource.inputs.get("identity", {}))}
    attached |= {str(id_).lower() for id_ in as_list(look_up(resource.inputs, "identity.userAssignedIdentities", ()))}
    attached |= {str(id_).lower() for id_ in look_up(resource.inputs, "identity.userAssignedIdentities", {}) or ()}
    for reference in named:
        identity = _find_identity(wiring, str(reference))
        if identity is None:
            yield Problem(
                describe(resource), f"identity {reference}, which uses its key, does not exist", "name one that may"
            )
            continue
        if attached and identity.id.lower() not in attached:
            reason = f"it uses its key as {describe(identity)}, which is not attached to it"
            yield Problem(describe(resource), reason, "attach the identity")
        principal = str(identity.outputs.get("principalId"))
        if vaults and not any(has_azure_role(wiring, principal, _KEY_ROLES, vault.id) for vault in vaults):
            reason = f"{describe(identity)} may not use the key in {host} that encrypts it"
            yield Problem(describe(resource), reason, f"assign {_KEY_ROLES[0]} on the vault")


def _find_identity(wiring: Wiring, reference: str) -> Resource | None:
    """An identity, found by its ID, which Cosmos DB prefixes with `UserAssignedIdentity=`, or by its client ID."""
    reference = reference.removeprefix("UserAssignedIdentity=")
    return next(
        (
            identity
            for identity in wiring.clouds.all(_IDENTITY)
            if is_same(identity.id, reference) or identity.outputs.get("clientId") == reference
        ),
        None,
    )
