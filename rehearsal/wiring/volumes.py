"""Checks that disks for volumes can be created: from a claim to its class, the driver, the key and the grants on it.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html and
https://learn.microsoft.com/azure/aks/azure-disk-customer-managed-keys
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import has_azure_role, role_allows
from rehearsal.wiring.graph import AKS, Wiring, describe, get_annotations

_CLASS_API = "storage.k8s.io/v1"
_EBS, _AZURE_DISK = "ebs.csi.aws.com", "disk.csi.azure.com"
_ADDON, _DISKS = "aws:eks/addon:Addon", "azure-native:compute:DiskEncryptionSet"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_KEY_ACTIONS = ("kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt")
# Source: https://learn.microsoft.com/azure/aks/azure-disk-customer-managed-keys
_SET_ROLES = ("Reader", "Contributor", "Owner")


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    classes = {found["metadata"]["name"]: found for found in wiring.cluster.list(_CLASS_API, "StorageClass")}
    used = list(_list_claims(wiring))
    if not classes:
        # Without any class, nothing is known about the classes of the cluster.
        return
    for owner, name in used:
        if name not in classes and (name or not any(map(_is_default, classes.values()))):
            reason = (
                f"its volume names the StorageClass {name!r}, which does not exist"
                if name
                else "its volume names no StorageClass, and the cluster has no default one"
            )
            yield Problem(owner, reason, "name a StorageClass of the cluster")
    for found in classes.values():
        parameters = {str(key).lower(): value for key, value in (found.get("parameters") or {}).items()}
        if found.get("provisioner") == _EBS and (key := parameters.get("kmskeyid")):
            yield from _check_ebs(wiring, found, str(key))
        elif found.get("provisioner") == _AZURE_DISK and (key := parameters.get("diskencryptionsetid")):
            yield from _check_azure_disk(wiring, found, str(key))


def _is_default(found: Object) -> bool:
    return get_annotations(found).get(_DEFAULT) == "true"


def _list_claims(wiring: Wiring) -> Iterator[tuple[str, str]]:
    """Objects that claim volumes, each with the class that it names."""
    templates = (
        ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates"),
        ("monitoring.coreos.com/v1", "Prometheus", "spec.storage.volumeClaimTemplate"),
        ("monitoring.coreos.com/v1", "Alertmanager", "spec.storage.volumeClaimTemplate"),
        ("v1", "PersistentVolumeClaim", ""),
    )
    for api_version, kind, path in templates:
        for found in wiring.cluster.list(api_version, kind):
            claims = as_list(look_up(found, path, None)) if path else [found]
            for claim in claims:
                yield describe_object(found), str(look_up(claim, "spec.storageClassName", ""))


def _check_ebs(wiring: Wiring, found: Object, key: str) -> Iterator[Problem]:
    name = describe_object(found)
    if wiring.clouds.find(key) is None:
        yield Problem(name, f"its key {key} does not exist", "name a key of the stack")
        return
    roles = [role for addon in wiring.clouds.all(_ADDON) if _is_driver(addon) for role in _list_roles(wiring, addon)]
    if not roles:
        yield Problem(
            name, "its driver has no role, so it cannot create disks", "set podIdentityAssociations of the add-on"
        )
    for role in roles:
        missing = [action for action in _KEY_ACTIONS if not role_allows(wiring, role, action, key)]
        if missing:
            reason = f"the driver creates disks with the key {key}, but may not: {', '.join(missing)}"
            yield Problem(describe(role), reason, "allow the role to use the key")


def _is_driver(addon: Resource) -> bool:
    return addon.inputs.get("addonName") == "aws-ebs-csi-driver"


def _list_roles(wiring: Wiring, addon: Resource) -> Iterator[Resource]:
    arns = [each.get("roleArn") for each in as_list(addon.inputs.get("podIdentityAssociations"))]
    for arn in filter(None, (*arns, addon.inputs.get("serviceAccountRoleArn"))):
        if (role := wiring.clouds.find(str(arn))) is not None:
            yield role


def _check_azure_disk(wiring: Wiring, found: Object, key: str) -> Iterator[Problem]:
    disks = wiring.clouds.find(key)
    if disks is None or disks.type != _DISKS:
        yield Problem(describe_object(found), f"its disk encryption set {key} does not exist", "name one of the stack")
        return
    for cluster in wiring.clouds.all(AKS):
        for id_ in as_list(look_up(cluster.inputs, "identity.userAssignedIdentities", None)):
            identity = wiring.clouds.find(str(id_))
            principal = str(identity.outputs.get("principalId")) if identity else ""
            if identity and not has_azure_role(wiring, principal, _SET_ROLES, disks.id):
                reason = f"disks are encrypted with {describe(disks)}, which the cluster's identity may not read"
                yield Problem(describe(identity), reason, f"assign it {_SET_ROLES[0]} on the set")
