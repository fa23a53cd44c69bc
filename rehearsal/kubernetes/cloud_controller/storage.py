"""Storage classes and drivers that the clouds bring, and a simulated provisioner of volumes.

Sources: https://learn.microsoft.com/azure/aks/concepts-storage#storage-classes,
https://github.com/kubernetes-sigs/aws-ebs-csi-driver/tree/master/charts/aws-ebs-csi-driver/templates and
https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions-standard.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.cloud_controller.reconciler import SIMULATED_LABELS

_DISK, _FILE, _BLOB, _EBS = "disk.csi.azure.com", "file.csi.azure.com", "blob.csi.azure.com", "ebs.csi.aws.com"
_EFS = "efs.csi.aws.com"
# Driver by the service that brings it, and its CSIDriver's specification.
_DRIVERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "disk-csi": (_DISK, {"attachRequired": True, "podInfoOnMount": False, "fsGroupPolicy": "File"}),
    "file-csi": (_FILE, {"attachRequired": False, "podInfoOnMount": True, "fsGroupPolicy": "ReadWriteOnceWithFSType"}),
    "blob-csi": (_BLOB, {"attachRequired": False, "podInfoOnMount": True, "fsGroupPolicy": "ReadWriteOnceWithFSType"}),
    "aws-ebs-csi-driver": (_EBS, {"attachRequired": True, "podInfoOnMount": False, "fsGroupPolicy": "File"}),
    "aws-efs-csi-driver": (_EFS, {"attachRequired": False}),
}
# Node label by which a driver's disks stay in their zone.
_TOPOLOGY = {_DISK: "topology.disk.csi.azure.com/zone", _EBS: "topology.ebs.csi.aws.com/zone"}
_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED = "volume.kubernetes.io/selected-node"
_PROVISIONER = "volume.kubernetes.io/storage-provisioner"  # set by the controller that waits for a provisioner


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """Drivers and storage classes that this cluster has from the start."""
    for service in sorted(cluster.addons & _DRIVERS.keys()):
        name, spec = _DRIVERS[service]
        yield {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": spec}
    yield from _azure_classes(cluster) if cluster.cloud == "azure" else _aws_classes(cluster)


def drivers(cluster: ManagedCluster | None) -> frozenset[str]:
    """Names of the drivers that this cluster has."""
    addons = cluster.addons if cluster else frozenset()
    return frozenset(name for service, (name, _) in _DRIVERS.items() if service in addons)


def _azure_classes(cluster: ManagedCluster) -> Iterator[Object]:
    # Where nodes are in several zones disks are, too. Source: the page on storage classes, for 1.29 and later.
    kind = "ZRS" if any(len(pool.zones) > 1 for pool in cluster.pools) else "LRS"
    standard, premium = {"skuname": f"StandardSSD_{kind}"}, {"skuname": f"Premium_{kind}"}
    if "disk-csi" in cluster.addons:
        yield _class("default", _DISK, standard, default=True)
        yield _class("managed", _DISK, standard)
        yield _class("managed-csi", _DISK, standard)
        yield _class("managed-premium", _DISK, premium)
        yield _class("managed-csi-premium", _DISK, premium)
    if "file-csi" in cluster.addons:
        for name, sku in (("azurefile", "Standard_LRS"), ("azurefile-premium", "Premium_LRS")):
            for each in (name, name.replace("azurefile", "azurefile-csi")):
                yield _class(each, _FILE, {"skuName": sku}, waits=False)
    if "blob-csi" in cluster.addons:
        yield _class("azureblob-fuse-premium", _BLOB, {"skuName": "Premium_LRS", "protocol": "fuse"}, waits=False)
        yield _class("azureblob-nfs-premium", _BLOB, {"skuName": "Premium_LRS", "protocol": "nfs"}, waits=False)


def _aws_classes(cluster: ManagedCluster) -> Iterator[Object]:
    # EKS makes this one whether or not there is a driver; from 1.30 on it is nobody's default.
    yield _class("gp2", "kubernetes.io/aws-ebs", {"type": "gp2", "fsType": "ext4"}, expands=False)
    options = cluster.settings.get("aws-ebs-csi-driver", {})
    if "aws-ebs-csi-driver" in cluster.addons and options.get("defaultStorageClass", {}).get("enabled") is True:
        yield _class("ebs-csi-default-sc", _EBS, {}, default=True)


def _class(
    name: str,
    provisioner: str,
    parameters: Mapping[str, str],
    *,
    default: bool = False,
    waits: bool = True,
    expands: bool = True,
) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": _DEFAULT if default else {}},
        "provisioner": provisioner,
        # None at all and an empty mapping are not the same to the API server, which lets nobody change parameters.
        **({"parameters": parameters} if parameters else {}),
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer" if waits else "Immediate",
        "allowVolumeExpansion": expands,
    }


class Provisioner:
    """Makes the volumes that claims wait for, and takes away those that nobody keeps."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def reconcile(self, present: frozenset[str]) -> bool:
        """Serve the drivers that are `present`; gives whether there was anything to do."""
        if not present:
            return False
        claims = [claim for claim in self._api.list("v1", "PersistentVolumeClaim") if _waits(claim, present)]
        made = [self._make(claim) for claim in claims]
        volumes = [volume for volume in self._api.list("v1", "PersistentVolume") if _is_over(volume, present)]
        for volume in volumes:
            self._api.delete("v1", "PersistentVolume", volume["metadata"]["name"])
        return any(made) or bool(volumes)

    def _make(self, claim: Object) -> bool:
        metadata, spec = claim["metadata"], claim["spec"]
        storage_class = self._api.get("storage.k8s.io/v1", "StorageClass", spec["storageClassName"])
        name = f"pvc-{metadata['uid']}"
        if storage_class is None or self._api.get("v1", "PersistentVolume", name):
            return False
        node = self._api.get("v1", "Node", metadata["annotations"].get(_SELECTED, "none"))
        if node is None and storage_class["volumeBindingMode"] == "WaitForFirstConsumer":
            return False
        self._api.create(_volume(name, claim, storage_class, node))
        return True


def _waits(claim: Object, present: frozenset[str]) -> bool:
    """Whether a claim has been handed to one of these provisioners; with a late binding, after its node is chosen."""
    metadata = claim["metadata"]
    return (
        claim.get("status", {}).get("phase") == "Pending"
        and not claim["spec"].get("volumeName")
        and "deletionTimestamp" not in metadata
        and metadata.get("annotations", {}).get(_PROVISIONER) in present
    )


def _is_over(volume: Object, present: frozenset[str]) -> bool:
    return (
        volume.get("status", {}).get("phase") == "Released"
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and volume["metadata"].get("annotations", {}).get(_BY) in present
        and "deletionTimestamp" not in volume["metadata"]
    )


def _volume(name: str, claim: Object, storage_class: Object, node: Object | None) -> Object:
    metadata, spec = claim["metadata"], claim["spec"]
    driver = metadata["annotations"][_PROVISIONER]
    reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": SIMULATED_LABELS, "annotations": {_BY: driver}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "csi": {"driver": driver, "volumeHandle": _handle(driver, name)},
            "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
            "storageClassName": spec["storageClassName"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            **_affinity(driver, storage_class.get("parameters") or {}, node),
        },
    }


def _handle(driver: str, name: str) -> str:
    return f"vol-{hashlib.sha256(name.encode()).hexdigest()[:17]}" if driver == _EBS else f"simulated/{name}"


def _affinity(driver: str, parameters: Mapping[str, str], node: Object | None) -> Mapping[str, Any]:
    """A disk can be used in its zone only, unless it is in all of them."""
    label = _TOPOLOGY.get(driver, "")
    sku = next((value for key, value in parameters.items() if key.lower() in ("skuname", "storageaccounttype")), "")
    zone = node["metadata"]["labels"].get(label) if node else None
    if not zone or sku.endswith("ZRS"):
        return {}
    expression = {"key": label, "operator": "In", "values": [zone]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}
