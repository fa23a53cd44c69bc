"""The nodes of the cluster's node pools, as AKS and EKS register them.

Labels: https://learn.microsoft.com/azure/aks/use-labels,
https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html and
https://kubernetes.io/docs/reference/labels-annotations-taints/
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import itertools
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kernel.paths import look_up
from kernel.pod_resources import parse_quantity
from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.cloud_controller import vm_sizes
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, NodePool
from rehearsal.kubernetes.cloud_controller.reconciler import SIMULATED_LABELS, SIMULATED_SELECTOR

KWOK_ANNOTATIONS = {"kwok.x-k8s.io/node": "fake"}  # kwok is the kubelet of the nodes that carry it
GPU_RESOURCE = "nvidia.com/gpu"
_POOL_LABEL = "groundwork.rehearsal/pool"
_INDEX_LABEL = "groundwork.rehearsal/number"
_NOT_FOUND = 404
_HEARTBEAT_INTERVAL = 10  # seconds between a kubelet's status reports
_AKS_MAX_PODS, _EKS_DISK = 110, 20  # if the pool does not set them
_RESERVED_ADDRESSES = 110  # of a subnet, never assigned: 10 at its start, 100 for the nodes of one pool
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"
# Taints that the node lifecycle controller adds and removes.
LIFECYCLE_TAINT = re.compile(r"node\.(kubernetes\.io|cloudprovider\.kubernetes\.io)/")
_LIFECYCLE_LABEL_PREFIX = "beta.kubernetes.io/"  # prefix of labels that the same controller adds
# A kubelet's message without a network plugin. Source: https://github.com/kubernetes/kubernetes
# (pkg/kubelet/runtime.go) and https://github.com/containerd/go-cni/blob/main/errors.go
_NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin "
    "returns error: cni plugin not initialized"
)


class Nodes:
    """Reconciles the cluster's nodes with its node pools; nodes that the autoscaler has added stay."""

    def __init__(self, api: ApiClient, version: str) -> None:
        self._api = api
        self._version = version
        self._last_heartbeat = 0.0

    def reconcile(
        self,
        cluster: ManagedCluster | None,
        additional: Mapping[str, int],
        removable: Collection[str],
        *,
        with_gpus: bool,
    ) -> bool:
        """Create, update and delete nodes; returns whether anything changed.

        `additional` is the number of nodes to add, keyed by pool; nodes named in `removable` are deleted. `with_gpus`:
        a device plugin advertises GPUs. Raises UnknownVmSizeError once the nodes of all other pools are reconciled.
        """
        listed = self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR)
        existing = {node["metadata"]["name"]: node for node in listed}
        desired, errors = self._build_nodes(cluster, listed, additional, with_gpus=with_gpus) if cluster else ({}, [])
        for name in removable:
            desired.pop(name, None)
        obsolete = [
            name for name, node in existing.items() if name not in desired or _must_be_recreated(desired[name], node)
        ]
        for name in obsolete:
            self._remove(name)
            del existing[name]
        changed = [self._create_or_update(manifest, existing.get(name)) for name, manifest in desired.items()]
        self._send_heartbeats(desired.values())
        if errors:
            raise errors[0]
        return any(changed) or bool(obsolete)

    def _build_nodes(
        self, cluster: ManagedCluster, existing: Iterable[Object], additional: Mapping[str, int], *, with_gpus: bool
    ) -> tuple[dict[str, Object], list[vm_sizes.UnknownVmSizeError]]:
        """The manifests of all pools' nodes, keyed by name, and the errors of the pools without nodes."""
        manifests: dict[str, Object] = {}
        errors: list[vm_sizes.UnknownVmSizeError] = []
        for pool in cluster.pools:
            try:
                for index in _node_indices(pool, existing, additional.get(pool.name, 0)):
                    manifest = build_node(cluster, pool, index, self._version, with_gpus=with_gpus)
                    manifests[manifest["metadata"]["name"]] = manifest
            except vm_sizes.UnknownVmSizeError as error:
                errors.append(error)
        return manifests, errors

    def _create_or_update(self, desired: Object, existing: Object | None) -> bool:
        if existing is None:
            self._api.create(desired)
            return True
        change = _diff_labels_and_taints(desired, existing)
        if change:
            self._api.patch(desired, change)
        status = {**_diff_resources(desired, existing), **_diff_version(desired, existing)}
        if status:
            self._api.patch(desired, {"status": status}, "/status")
        return bool(change or status)

    def _remove(self, name: str) -> None:
        """Delete a node and its pods; the pod garbage collector would delete the pods a minute later."""
        self._api.delete("v1", "Node", name, propagation_policy="Background")
        for pod in self._api.list("v1", "Pod", field_selector=f"spec.nodeName={name}"):
            metadata = pod["metadata"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            try:
                self._api.request("DELETE", path, body={"gracePeriodSeconds": 0})
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise

    def _send_heartbeats(self, nodes: Iterable[Object]) -> None:
        """Report the status of nodes that kwok ignores; otherwise the node lifecycle controller evicts their pods."""
        if time.monotonic() - self._last_heartbeat < _HEARTBEAT_INTERVAL:
            return
        self._last_heartbeat = time.monotonic()
        for node in nodes:
            if "annotations" not in node["metadata"]:
                self._api.patch(node, {"status": {"conditions": _not_ready_conditions()}}, "/status")


def build_node(cluster: ManagedCluster, pool: NodePool, index: int, version: str, *, with_gpus: bool) -> Object:
    """The manifest of a pool's node with its status, as its kubelet registers it. Raises UnknownVmSizeError."""
    capacity = _node_capacity(cluster, pool)
    zone = pool.zones[index % len(pool.zones)]
    address = _node_address(pool, index)
    name = _node_name(cluster, pool, index, address)
    labels = {
        **pool.labels,
        **SIMULATED_LABELS,
        _POOL_LABEL: pool.name,
        _INDEX_LABEL: str(index),
        "kubernetes.io/arch": capacity.size.architecture,
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name,
        "node.kubernetes.io/instance-type": pool.size,
        "topology.kubernetes.io/region": cluster.region,
        "topology.kubernetes.io/zone": zone,
        **_cloud_labels(cluster, capacity, zone),
    }
    has_network = has_network_plugin(cluster)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, **({"annotations": KWOK_ANNOTATIONS} if has_network else {})},
        "spec": {
            "providerID": _provider_id(cluster, name, zone),
            "taints": [taint.manifest for taint in pool.taints],
        },
        "status": {
            "capacity": capacity.to_resources(allocatable=False, with_gpus=with_gpus),
            "allocatable": capacity.to_resources(allocatable=True, with_gpus=with_gpus),
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "architecture": capacity.size.architecture,
                "operatingSystem": "linux",
                "kubeletVersion": kubelet_version(pool, version),
                "containerRuntimeVersion": "simulated",
                **dict.fromkeys(
                    ("bootID", "machineID", "systemUUID", "kernelVersion", "osImage", "kubeProxyVersion"), "simulated"
                ),
            },
            **({} if has_network else {"conditions": _not_ready_conditions()}),
        },
    }


def kubelet_version(pool: NodePool, otherwise: str) -> str:
    """The version that a kubelet of the pool reports, such as v1.36.0; `otherwise` if the stack does not set one."""
    if not pool.version:
        return otherwise
    return f"v{pool.version}" + ".0" * (2 - pool.version.count("."))


def pool_name(node: Object) -> str:
    """The pool of a node; empty for a node that the simulated cloud did not create."""
    return str(node["metadata"].get("labels", {}).get(_POOL_LABEL, ""))


def node_index(node: Object) -> int:
    """The index of a node in its pool, from 0."""
    return int(node["metadata"]["labels"][_INDEX_LABEL])


def has_network_plugin(cluster: ManagedCluster) -> bool:
    """Whether the cluster has a network plugin: AKS always has one; on EKS it is an add-on."""
    return cluster.cloud == "azure" or "vpc-cni" in cluster.addons


def _node_indices(pool: NodePool, existing: Iterable[Object], additional: int) -> Iterator[int]:
    """The indices of a pool's initial nodes, of nodes that the autoscaler added before, and of `additional` ones."""
    yield from range(pool.count)
    used = {node_index(node) for node in existing if pool_name(node) == pool.name}
    scaled = range(pool.count, pool.max_count)
    yield from (index for index in scaled if index in used)
    yield from itertools.islice((index for index in scaled if index not in used), additional)


def _node_capacity(cluster: ManagedCluster, pool: NodePool) -> vm_sizes.NodeCapacity:
    if cluster.cloud == "azure":
        size = vm_sizes.azure_vm_size(pool.size)
        return vm_sizes.azure_node_capacity(size, pool.max_pods or _AKS_MAX_PODS, pool.disk)
    return vm_sizes.aws_node_capacity(vm_sizes.aws_vm_size(pool.size), pool.disk or _EKS_DISK)


def describe_estimates(cluster: ManagedCluster) -> list[str]:
    """One sentence for each pool whose nodes have an estimated amount of memory."""
    find = vm_sizes.azure_vm_size if cluster.cloud == "azure" else vm_sizes.aws_vm_size
    sentences = []
    for pool in cluster.pools:
        with suppress(vm_sizes.UnknownVmSizeError):
            size = find(pool.size)
            if size.is_estimate:
                sentences.append(
                    f"Not checked: the memory of {pool.size} in pool {pool.name}, estimated as "
                    f"{size.memory // 1024} GiB, and whether it has GPUs; the rehearsal does not know the size"
                )
    return sentences


def _cloud_labels(cluster: ManagedCluster, capacity: vm_sizes.NodeCapacity, zone: str) -> Mapping[str, str]:
    """The labels that only this cloud sets."""
    if cluster.cloud == "aws":
        return {"topology.ebs.csi.aws.com/zone": zone, "k8s.io/cloud-provider-aws": "simulated"}
    return {
        "kubernetes.azure.com/cluster": cluster.owner,
        "kubernetes.azure.com/role": "agent",
        "topology.disk.csi.azure.com/zone": "" if zone == "0" else zone,
        **({"accelerator": "nvidia"} if capacity.size.gpus else {}),
    }


def _node_name(cluster: ManagedCluster, pool: NodePool, index: int, address: str) -> str:
    if cluster.cloud == "azure":
        return f"aks-{pool.name}-{_hash_digits(cluster.name, 8)}-vmss{_to_base_36(index):0>6}"
    return f"ip-{address.replace('.', '-')}.{cluster.region}.compute.internal"


def _node_address(pool: NodePool, index: int) -> str:
    """An address of the node's subnet, the same in every run. Pools start at offsets derived from their names."""
    subnet = ipaddress.IPv4Network(pool.subnets[index % len(pool.subnets)].cidr)
    usable = max(subnet.num_addresses - _RESERVED_ADDRESSES, 1)
    return str(subnet[10 + int(_hash_digits(pool.name, 9)) % usable + index])


def _provider_id(cluster: ManagedCluster, name: str, zone: str) -> str:
    if cluster.cloud == "aws":
        return f"aws:///{zone}/i-{hashlib.sha256(name.encode()).hexdigest()[:17]}"
    scale_set, _, number = name.rpartition("vmss")
    group = f"azure:///subscriptions/simulated/resourceGroups/{cluster.owner}"
    machine = f"{scale_set}vmss/virtualMachines/{number.lstrip('0') or 0}"
    return f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{machine}"


def _hash_digits(text: str, length: int) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:length]


def _to_base_36(number: int) -> str:
    high, low = divmod(number, 36)
    return (_to_base_36(high) if high else "") + _BASE_36[low]


def _not_ready_conditions() -> list[Mapping[str, str]]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": _NO_NETWORK}
    return [{**ready, "lastHeartbeatTime": now}]


def _must_be_recreated(desired: Object, existing: Object) -> bool:
    """Whether a node's network has just become available: kwok manages a node only if it sees its creation."""
    annotations = existing["metadata"].get("annotations", {})
    return "annotations" in desired["metadata"] and not KWOK_ANNOTATIONS.items() <= annotations.items()


def _diff_resources(desired: Object, existing: Object) -> Mapping[str, Any]:
    """The patch of a node's resources: GPUs appear and disappear with their device plugin."""
    current, wanted = (node["status"].get("capacity", {}) for node in (existing, desired))
    removed = dict.fromkeys({GPU_RESOURCE} & current.keys() - wanted.keys())
    is_equal = all(
        name in current and parse_quantity(current[name]) == parse_quantity(amount) for name, amount in wanted.items()
    )
    if is_equal and not removed:
        return {}
    return {field: {**desired["status"][field], **removed} for field in ("capacity", "allocatable")}


def _diff_version(desired: Object, existing: Object) -> Mapping[str, Any]:
    """The patch of a node's version after an upgrade of its pool. A real upgrade replaces the node."""
    wanted, current = (look_up(node, "status.nodeInfo.kubeletVersion", "") for node in (desired, existing))
    return {} if wanted == current else {"nodeInfo": {**existing["status"]["nodeInfo"], "kubeletVersion": wanted}}


def _diff_labels_and_taints(desired: Object, existing: Object) -> dict[str, Any]:
    """The patch of an existing node. Labels and taints of the node lifecycle controller are retained."""
    change: dict[str, Any] = {}
    labels, current = desired["metadata"]["labels"], existing["metadata"].get("labels", {})
    differing = (key for key in labels.keys() | current.keys() if labels.get(key) != current.get(key))
    changed_labels = {key: labels.get(key) for key in differing if not key.startswith(_LIFECYCLE_LABEL_PREFIX)}
    if changed_labels:
        change["metadata"] = {"labels": changed_labels}
    taints = existing["spec"].get("taints", [])
    lifecycle_taints = [taint for taint in taints if LIFECYCLE_TAINT.match(taint["key"])]
    pool_taints = [
        {field: taint.get(field, "") for field in ("key", "value", "effect")}
        for taint in taints
        if taint not in lifecycle_taints
    ]
    if pool_taints != desired["spec"]["taints"]:
        change["spec"] = {"taints": [*desired["spec"]["taints"], *lifecycle_taints]}
    return change
