"""CSI drivers and StorageClasses of the clouds, and a simulated provisioner of volumes.

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
# The CSI driver that an add-on installs, and the specification of its CSIDriver.
_DRIVERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "disk-csi": (_DISK, {"attachRequired": True, "podInfoOnMount": False, "fsGroupPolicy": "File"}),
    "file-csi": (_FILE, {"attachRequired": False, "podInfoOnMount": True, "fsGroupPolicy": "ReadWriteOnceWithFSType"}),
    "blob-csi": (_BLOB, {"attachRequired": False, "podInfoOnMount": True, "fsGroupPolicy": "ReadWriteOnceWithFSType"}),
    "aws-ebs-csi-driver": (_EBS, {"attachRequired": True, "podInfoOnMount": False, "fsGroupPolicy": "File"}),
    "aws-efs-csi-driver": (_EFS, {"attachRequired": False}),
}
# The node label that ties a driver's disks to their zone.
_TOPOLOGY_LABELS = {_DISK: "topology.disk.csi.azure.com/zone", _EBS: "topology.ebs.csi.aws.com/zone"}
_DEFAULT_CLASS = {"storageclass.kubernetes.io/is-default-class": "true"}
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONER = "volume.kubernetes.io/storage-provisioner"  # set by the controller that assigns a claim to a provisioner


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The CSI drivers and StorageClasses of a new cluster."""
    for addon in sorted(cluster.addons & _DRIVERS.keys()):
        name, spec = _DRIVERS[addon]
        yield {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": spec}
    yield from _azure_classes(cluster) if cluster.cloud == "azure" else _aws_classes(cluster)


def installed_drivers(cluster: ManagedCluster | None) -> frozenset[str]:
    """The names of the cluster's CSI drivers."""
    addons = cluster.addons if cluster else frozenset()
    return frozenset(name for addon, (name, _) in _DRIVERS.items() if addon in addons)


def _azure_classes(cluster: ManagedCluster) -> Iterator[Object]:
    # Disks are zone-redundant if nodes are in several zones. Source: the page on storage classes, 1.29 and later.
    redundancy = "ZRS" if any(len(pool.zones) > 1 for pool in cluster.pools) else "LRS"
    standard, premium = {"skuname": f"StandardSSD_{redundancy}"}, {"skuname": f"Premium_{redundancy}"}
    if "disk-csi" in cluster.addons:
        yield _build_class("default", _DISK, standard, default=True)
        yield _build_class("managed", _DISK, standard)
        yield _build_class("managed-csi", _DISK, standard)
        yield _build_class("managed-premium", _DISK, premium)
        yield _build_class("managed-csi-premium", _DISK, premium)
    if "file-csi" in cluster.addons:
        for name, sku in (("azurefile", "Standard_LRS"), ("azurefile-premium", "Premium_LRS")):
            for class_name in (name, name.replace("azurefile", "azurefile-csi")):
                yield _build_class(class_name, _FILE, {"skuName": sku}, binds_immediately=True)
    if "blob-csi" in cluster.addons:
        yield _build_class(
            "azureblob-fuse-premium", _BLOB, {"skuName": "Premium_LRS", "protocol": "fuse"}, binds_immediately=True
        )
        yield _build_class(
            "azureblob-nfs-premium", _BLOB, {"skuName": "Premium_LRS", "protocol": "nfs"}, binds_immediately=True
        )


def _aws_classes(cluster: ManagedCluster) -> Iterator[Object]:
    # EKS creates this class whether or not its driver is installed; from 1.30 on it is not the default.
    yield _build_class("gp2", "kubernetes.io/aws-ebs", {"type": "gp2", "fsType": "ext4"}, is_expandable=False)
    options = cluster.addon_configuration.get("aws-ebs-csi-driver", {})
    if "aws-ebs-csi-driver" in cluster.addons and options.get("defaultStorageClass", {}).get("enabled") is True:
        yield _build_class("ebs-csi-default-sc", _EBS, {}, default=True)


def _build_class(
    name: str,
    provisioner: str,
    parameters: Mapping[str, str],
    *,
    default: bool = False,
    binds_immediately: bool = False,
    is_expandable: bool = True,
) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": _DEFAULT_CLASS if default else {}},
        "provisioner": provisioner,
        # To the API server, an empty mapping differs from an absent one, and parameters are immutable.
        **({"parameters": parameters} if parameters else {}),
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate" if binds_immediately else "WaitForFirstConsumer",
        "allowVolumeExpansion": is_expandable,
    }


class Provisioner:
    """Creates volumes for pending claims, and deletes released ones."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def reconcile(self, drivers: frozenset[str]) -> bool:
        """Provision for these CSI drivers; returns whether anything changed."""
        if not drivers:
            return False
        claims = [claim for claim in self._api.list("v1", "PersistentVolumeClaim") if _is_pending(claim, drivers)]
        provisioned = [self._provision(claim) for claim in claims]
        volumes = [volume for volume in self._api.list("v1", "PersistentVolume") if _is_released(volume, drivers)]
        for volume in volumes:
            self._api.delete("v1", "PersistentVolume", volume["metadata"]["name"])
        return any(provisioned) or bool(volumes)

    def _provision(self, claim: Object) -> bool:
        metadata, spec = claim["metadata"], claim["spec"]
        storage_class = self._api.get("storage.k8s.io/v1", "StorageClass", spec["storageClassName"])
        name = f"pvc-{metadata['uid']}"
        if storage_class is None or self._api.get("v1", "PersistentVolume", name):
            return False
        node = self._api.get("v1", "Node", metadata["annotations"].get(_SELECTED_NODE, "none"))
        if node is None and storage_class["volumeBindingMode"] == "WaitForFirstConsumer":
            return False
        self._api.create(_build_volume(name, claim, storage_class, node))
        return True


def _is_pending(claim: Object, drivers: frozenset[str]) -> bool:
    """Whether a claim is assigned to one of these drivers; with late binding, after a node has been selected."""
    metadata = claim["metadata"]
    return (
        claim.get("status", {}).get("phase") == "Pending"
        and not claim["spec"].get("volumeName")
        and "deletionTimestamp" not in metadata
        and metadata.get("annotations", {}).get(_PROVISIONER) in drivers
    )


def _is_released(volume: Object, drivers: frozenset[str]) -> bool:
    return (
        volume.get("status", {}).get("phase") == "Released"
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) in drivers
        and "deletionTimestamp" not in volume["metadata"]
    )


def _build_volume(name: str, claim: Object, storage_class: Object, node: Object | None) -> Object:
    metadata, spec = claim["metadata"], claim["spec"]
    driver = metadata["annotations"][_PROVISIONER]
    reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": SIMULATED_LABELS, "annotations": {_PROVISIONED_BY: driver}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "csi": {"driver": driver, "volumeHandle": _volume_handle(driver, name)},
            "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
            "storageClassName": spec["storageClassName"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            **_node_affinity(driver, storage_class.get("parameters") or {}, node),
        },
    }


def _volume_handle(driver: str, name: str) -> str:
    return f"vol-{hashlib.sha256(name.encode()).hexdigest()[:17]}" if driver == _EBS else f"simulated/{name}"


def _node_affinity(driver: str, parameters: Mapping[str, str], node: Object | None) -> Mapping[str, Any]:
    """The node affinity of a disk, which can be attached only in its own zone unless it is zone-redundant."""
    label = _TOPOLOGY_LABELS.get(driver, "")
    sku = next((value for key, value in parameters.items() if key.lower() in ("skuname", "storageaccounttype")), "")
    zone = node["metadata"]["labels"].get(label) if node else None
    if not zone or sku.endswith("ZRS"):
        return {}
    expression = {"key": label, "operator": "In", "values": [zone]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}
