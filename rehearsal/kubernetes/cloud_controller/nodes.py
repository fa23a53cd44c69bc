"""Nodes, made of the pools that the stack has, as AKS and EKS would make them.

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
from typing import Any

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.cloud_controller import vm_sizes
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, NodePool
from rehearsal.kubernetes.cloud_controller.reconciler import SIMULATED_LABELS, SIMULATED_SELECTOR
from rehearsal.kubernetes.readiness.capacity import parse_quantity

KWOK_ANNOTATIONS = {"kwok.x-k8s.io/node": "fake"}  # kwok keeps alive what carries it
GPU = "nvidia.com/gpu"
_POOL = "groundwork.rehearsal/pool"
_NUMBER = "groundwork.rehearsal/number"
_GONE = 404
_HEARTBEAT = 10  # seconds, as a kubelet reports
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# What the node lifecycle controller puts on nodes and takes off again.
LIFECYCLE_TAINT = re.compile(r"node\.(kubernetes\.io|cloudprovider\.kubernetes\.io)/")
_ADDED = "beta.kubernetes.io/"  # labels that the same controller adds
# A kubelet's words where no network plugin has been installed. Source: https://github.com/kubernetes/kubernetes
# (pkg/kubelet/runtime.go) and https://github.com/containerd/go-cni/blob/main/errors.go
_NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin "
    "returns error: cni plugin not initialized"
)


class Nodes:
    """Keeps the cluster's nodes as the pools say; what an autoscaler has added stays."""

    def __init__(self, api: ApiClient, version: str) -> None:
        self._api = api
        self._version = version
        self._reported = 0.0

    def reconcile(
        self, cluster: ManagedCluster | None, more: Mapping[str, int], idle: Collection[str], *, gpus: bool
    ) -> bool:
        """Bring the nodes in line; gives whether there was anything to do.

        There come so many `more` to a pool, and the `idle` ones go. `gpus`: whether something in the cluster finds
        them. Raises sizes.UnknownSize, with the other pools' nodes made.
        """
        there = {
            node["metadata"]["name"]: node for node in self._api.list("v1", "Node", label_selector=SIMULATED_SELECTOR)
        }
        wanted, unknown = self._wanted(cluster, there.values(), more, gpus=gpus) if cluster else ({}, [])
        for name in idle:
            wanted.pop(name, None)
        gone = [name for name, found in there.items() if name not in wanted or _must_register(wanted[name], found)]
        for name in gone:
            self._remove(name)
            del there[name]
        changed = [self._bring(made, there.get(name)) for name, made in wanted.items()]
        self._report(wanted.values())
        if unknown:
            raise unknown[0]
        return any(changed) or bool(gone)

    def _wanted(
        self, cluster: ManagedCluster, there: Iterable[Object], more: Mapping[str, int], *, gpus: bool
    ) -> tuple[dict[str, Object], list[vm_sizes.UnknownVmSizeError]]:
        """The nodes of all pools by name, and what is wrong with the pools that have none."""
        wanted: dict[str, Object] = {}
        unknown: list[vm_sizes.UnknownVmSizeError] = []
        for pool in cluster.pools:
            try:
                for number in _numbers(pool, there, more.get(pool.name, 0)):
                    made = node(cluster, pool, number, self._version, gpus=gpus)
                    wanted[made["metadata"]["name"]] = made
            except vm_sizes.UnknownVmSizeError as error:
                unknown.append(error)
        return wanted, unknown

    def _bring(self, wanted: Object, found: Object | None) -> bool:
        if found is None:
            self._api.create(wanted)
            return True
        change = _difference(wanted, found)
        if change:
            self._api.patch(wanted, change)
        resources = _resources(wanted, found)
        if resources:
            self._api.patch(wanted, {"status": resources}, "/status")
        return bool(change or resources)

    def _remove(self, name: str) -> None:
        """A machine that is gone takes its pods with it; the pod garbage collector would say so a minute later."""
        self._api.delete("v1", "Node", name, propagation_policy="Background")
        for pod in self._api.list("v1", "Pod", field_selector=f"spec.nodeName={name}"):
            metadata = pod["metadata"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            try:
                self._api.request("DELETE", path, body={"gracePeriodSeconds": 0})
            except ApiError as error:
                if error.status != _GONE:
                    raise

    def _report(self, nodes: Iterable[Object]) -> None:
        """Speak for the kubelets that kwok does not speak for, so that nobody takes their nodes for lost."""
        if time.monotonic() - self._reported < _HEARTBEAT:
            return
        self._reported = time.monotonic()
        for one in nodes:
            if "annotations" not in one["metadata"]:
                self._api.patch(one, {"status": {"conditions": _not_ready()}}, "/status")


def node(cluster: ManagedCluster, pool: NodePool, number: int, version: str, *, gpus: bool) -> Object:
    """The manifest of a pool's node: status and all, as its kubelet would register it. Raises sizes.UnknownSize."""
    room = _room(cluster, pool)
    zone = pool.zones[number % len(pool.zones)]
    address = _address(pool, number)
    name = _name(cluster, pool, number, address)
    labels = {
        **pool.labels,
        **SIMULATED_LABELS,
        _POOL: pool.name,
        _NUMBER: str(number),
        "kubernetes.io/arch": room.size.architecture,
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name,
        "node.kubernetes.io/instance-type": pool.size,
        "topology.kubernetes.io/region": cluster.region,
        "topology.kubernetes.io/zone": zone,
        **_own_labels(cluster, room, zone),
    }
    alive = has_network_plugin(cluster)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, **({"annotations": KWOK_ANNOTATIONS} if alive else {})},
        "spec": {
            "providerID": _provider_id(cluster, name, zone),
            "taints": [taint.manifest for taint in pool.taints],
        },
        "status": {
            "capacity": room.resources(allocatable=False, gpus=gpus),
            "allocatable": room.resources(allocatable=True, gpus=gpus),
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "architecture": room.size.architecture,
                "operatingSystem": "linux",
                "kubeletVersion": version,
                "containerRuntimeVersion": "simulated",
                **dict.fromkeys(
                    ("bootID", "machineID", "systemUUID", "kernelVersion", "osImage", "kubeProxyVersion"), "simulated"
                ),
            },
            **({} if alive else {"conditions": _not_ready()}),
        },
    }


def pool_name(found: Object) -> str:
    """The pool that a node was made for; empty for one that the simulated cloud did not make."""
    return str(found["metadata"].get("labels", {}).get(_POOL, ""))


def node_index(found: Object) -> int:
    """Which node of its pool one is, from 0."""
    return int(found["metadata"]["labels"][_NUMBER])


def has_network_plugin(cluster: ManagedCluster) -> bool:
    """Whether nodes get a network: AKS brings one, on EKS it is an add-on."""
    return cluster.cloud == "azure" or "vpc-cni" in cluster.addons


def _numbers(pool: NodePool, nodes: Iterable[Object], more: int) -> Iterator[int]:
    """The nodes a pool has: those it begins with, those it was scaled up to, and `more`."""
    yield from range(pool.count)
    scaled = {node_index(one) for one in nodes if pool_name(one) == pool.name}
    beyond = range(pool.count, pool.max_count)
    yield from (index for index in beyond if index in scaled)
    yield from itertools.islice((index for index in beyond if index not in scaled), more)


def _room(cluster: ManagedCluster, pool: NodePool) -> vm_sizes.NodeCapacity:
    if cluster.cloud == "azure":
        return vm_sizes.azure_node_capacity(vm_sizes.azure_vm_size(pool.size), pool.max_pods or 110, pool.disk)
    return vm_sizes.aws_node_capacity(vm_sizes.aws_vm_size(pool.size), pool.disk or 20)


def _own_labels(cluster: ManagedCluster, room: vm_sizes.NodeCapacity, zone: str) -> Mapping[str, str]:
    """What only one of the clouds puts on a node."""
    if cluster.cloud == "aws":
        return {"topology.ebs.csi.aws.com/zone": zone, "k8s.io/cloud-provider-aws": "simulated"}
    accelerated = {"accelerator": "nvidia"} if room.size.gpus else {}
    return {
        "kubernetes.azure.com/cluster": cluster.owner,
        "kubernetes.azure.com/role": "agent",
        "topology.disk.csi.azure.com/zone": "" if zone == "0" else zone,
        **accelerated,
    }


def _name(cluster: ManagedCluster, pool: NodePool, number: int, address: str) -> str:
    if cluster.cloud == "azure":
        return f"aks-{pool.name}-{_digits(cluster.name, 8)}-vmss{_base36(number):0>6}"
    return f"ip-{address.replace('.', '-')}.{cluster.region}.compute.internal"


def _address(pool: NodePool, number: int) -> str:
    """An address of the node's subnet, the same in every run; each pool has a hundred of its own, nearly for sure."""
    subnet = ipaddress.IPv4Network(pool.subnets[number % len(pool.subnets)].cidr)
    room = subnet.num_addresses - 110
    return str(subnet[10 + int(_digits(pool.name, 9)) % max(room, 1) + number])


def _provider_id(cluster: ManagedCluster, name: str, zone: str) -> str:
    if cluster.cloud == "aws":
        return f"aws:///{zone}/i-{hashlib.sha256(name.encode()).hexdigest()[:17]}"
    scale_set, _, number = name.rpartition("vmss")
    group = f"azure:///subscriptions/simulated/resourceGroups/{cluster.owner}"
    path = (
        f"providers/Microsoft.Compute/virtualMachineScaleSets/{scale_set}vmss/virtualMachines/{number.lstrip('0') or 0}"
    )
    return f"{group}/{path}"


def _digits(text: str, length: int) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:length]


def _base36(number: int) -> str:
    high, low = divmod(number, 36)
    return (_base36(high) if high else "") + _DIGITS[low]


def _not_ready() -> list[Mapping[str, str]]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": _NO_NETWORK}
    return [{**ready, "lastHeartbeatTime": now}]


def _must_register(wanted: Object, found: Object) -> bool:
    """Whether a node got its network only now: kwok takes on those alone that it sees being made."""
    return (
        "annotations" in wanted["metadata"]
        and not KWOK_ANNOTATIONS.items() <= found["metadata"].get("annotations", {}).items()
    )


def _resources(wanted: Object, found: Object) -> Mapping[str, Any]:
    """What to patch of a node's resources: GPUs come and go with their device plugin."""
    has, needs = (one["status"].get("capacity", {}) for one in (found, wanted))
    gone = dict.fromkeys({GPU} & has.keys() - needs.keys())
    same = all(key in has and parse_quantity(has[key]) == parse_quantity(value) for key, value in needs.items())
    return {} if same and not gone else {key: {**wanted["status"][key], **gone} for key in ("capacity", "allocatable")}


def _difference(wanted: Object, found: Object) -> dict[str, Any]:
    """What to patch of a node that is there: labels, and taints beside the lifecycle controller's."""
    change: dict[str, Any] = {}
    metadata, has = wanted["metadata"], found["metadata"]
    labels, there = metadata["labels"], has.get("labels", {})
    changed = {key: labels.get(key) for key in labels.keys() | there.keys() if labels.get(key) != there.get(key)}
    if changed := {key: value for key, value in changed.items() if not key.startswith(_ADDED)}:
        change["metadata"] = {"labels": changed}
    taints = found["spec"].get("taints", [])
    transient = [taint for taint in taints if LIFECYCLE_TAINT.match(taint["key"])]
    own = [
        {key: taint.get(key, "") for key in ("key", "value", "effect")} for taint in taints if taint not in transient
    ]
    if own != wanted["spec"]["taints"]:
        change["spec"] = {"taints": [*wanted["spec"]["taints"], *transient]}
    return change
