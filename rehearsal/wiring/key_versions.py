"""Checks that no service is left behind on a version of an encryption key that rotates or expires.

A service that names a key with its version encrypts with that version until it is told another one. Those that name it
without a version follow its rotation.
Source: https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kernel.paths import each_value, look_up
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.simulator.core.values import find_strings
from rehearsal.wiring.graph import AKS, Wiring, describe

_KEY = "azure-native:keyvault:Key"
_URL = re.compile(r"(https://[a-z0-9-]+\.vault\.azure\.net/keys/[^/]+)(?:/([^/]+))?")
_STORAGE_KEY = "encryption.keyVaultProperties"
_KUBERNETES_SECRETS = "securityProfile.azureKeyVaultKms"
# Types that may use a key of a vault.
_USERS = (
    AKS,
    "azure-native:compute:DiskEncryptionSet",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:dbforpostgresql:Server",
    "azure-native:machinelearningservices:Workspace",
    "azure-native:storage:StorageAccount",
)


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    keys = {str(key.outputs.get("keyUri")): key for key in wiring.clouds.all(_KEY)}
    users = [user for type_ in _USERS for user in wiring.clouds.all(type_)]
    for user in users:
        for url, version in _list_keys(user):
            if version and url in keys and not _follows_rotation(user):
                yield from _check_version(user, keys[url], version)
    for cluster in wiring.clouds.all(AKS):
        yield from _check_sharing(cluster, users)


def _check_version(user: Resource, key: Resource, version: str) -> Iterator[Problem]:
    fate = _describe_fate(key)
    if fate:
        reason = f"it names one version of {describe(key)}, which {fate}: it would keep that version"
        remedy = "name the key without a version if the service accepts that, otherwise use a key that stays"
        yield Problem(describe(user), reason, remedy)
    elif not str(key.outputs.get("keyUriWithVersion")).endswith(f"/{version}"):
        reason = f"it names a version of {describe(key)} that another has replaced"
        yield Problem(describe(user), reason, "refresh the stack, and deploy it again")


def _describe_fate(key: Resource) -> str:
    """What happens to a version of a key by itself; empty if it is used until somebody replaces it."""
    kinds = each_value(key.inputs, "properties.rotationPolicy.lifetimeActions[*].action.type")
    if any(str(kind).lower() == "rotate" for _, kind in kinds):
        lifetime = look_up(key.inputs, "properties.rotationPolicy.attributes.expiryTime", None)
        return "rotates" + (f", and whose versions expire after {lifetime}" if lifetime else "")
    return "expires" if look_up(key.inputs, "properties.attributes.expires", None) else ""


def _check_sharing(cluster: Resource, users: Iterable[Resource]) -> Iterator[Problem]:
    """The key of Kubernetes secrets is no other service's: its rotation takes steps that others must not trigger.

    All secrets have to be written again after each rotation, and two versions have to be valid. Source:
    https://learn.microsoft.com/azure/aks/use-kms-etcd-encryption#rotate-existing-keys-in-a-private-key-vault
    """
    own = {url for url, _ in _list_urls(look_up(cluster.inputs, _KUBERNETES_SECRETS, None))}
    others = [user for user in users if user.id != cluster.id and own & {url for url, _ in _list_keys(user)}]
    if others:
        names = ", ".join(describe(other) for other in others)
        reason = f"its secrets are encrypted with a key that {names} use too, so that neither can rotate alone"
        yield Problem(describe(cluster), reason, "give the secrets a key of their own")


def _list_keys(user: Resource) -> Iterator[tuple[str, str]]:
    """The keys that a resource uses: URL without version, and the version, empty if it names none."""
    yield from _list_urls(user.inputs)
    own = look_up(user.inputs, _STORAGE_KEY, None) or {}
    if own.get("keyName"):
        yield f"{str(own.get('keyVaultUri')).rstrip('/')}/keys/{own['keyName']}", str(own.get("keyVersion") or "")


def _list_urls(inputs: object) -> Iterator[tuple[str, str]]:
    for text in find_strings(inputs):
        if match := _URL.fullmatch(text):
            yield match[1], match[2] or ""


def _follows_rotation(user: Resource) -> bool:
    """Whether a service replaces the version that it names by itself.

    Source: https://learn.microsoft.com/azure/virtual-machines/disk-encryption#automatic-key-rotation-of-customer-managed-keys
    """
    return user.inputs.get("rotationToLatestKeyVersionEnabled") is True
