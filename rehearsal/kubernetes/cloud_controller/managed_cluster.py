"""The managed cluster that the simulated state has, as everything else in here needs to know it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernel.paths import look_up
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore

_AKS, _POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
_EKS, _GROUP, _ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
_ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_SUBNET = "aws:ec2/subnet:Subnet"

# What EKS installs by itself unless bootstrapSelfManagedAddons is false.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/eks-add-ons.html
_SELF_MANAGED = ("coredns", "kube-proxy", "vpc-cni")
_EKS_DISK = 20  # GiB, https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html (diskSize)
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
_ROLES = ("elb", "internal-elb")


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: str

    @property
    def manifest(self) -> Mapping[str, str]:
        return {"key": self.key, "value": self.value, "effect": self.effect}


@dataclass(frozen=True)
class Subnet:
    """A subnet that nodes take their addresses from; EKS's also say their zone."""

    cidr: str
    zone: str = ""


@dataclass(frozen=True)
class NodePool:
    """Nodes of one size: an agent pool of AKS or a node group of EKS.

    count      nodes to begin with
    maximum    nodes that the cloud's own autoscaler goes up to; `count` where there is none
    zones      as nodes carry them in topology.kubernetes.io/zone
    max_pods   None where the size decides
    disk       GiB; None where the size decides
    """

    name: str
    size: str
    count: int
    max_count: int
    zones: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    max_pods: int | None = None
    disk: int | None = None


@dataclass(frozen=True)
class ManagedCluster:
    """A managed cluster.

    cloud         azure or aws
    owner         AKS's node resource group, EKS's account
    services      what the stack has of the cloud's services in the cluster: names of EKS add-ons, or of _AKS_SERVICES
    associations  (namespace, service account) of EKS Pod Identity
    balanced      roles of subnets for load balancers: elb, internal-elb
    settings      configuration of EKS's add-ons by name
    """

    cloud: str
    name: str
    region: str
    owner: str
    pools: tuple[NodePool, ...]
    addons: frozenset[str]
    tenant: str = ""
    pod_identity_associations: frozenset[tuple[str, str]] = frozenset()
    load_balancer_subnet_roles: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)


def find_managed_cluster(state: StateStore) -> ManagedCluster | None:
    """The cluster the state has, the newest where a replacement is under way; None where there is none."""
    clusters = [record for type_ in (_AKS, _EKS) for record in state.all(type_)]
    if not clusters:
        return None
    record = clusters[-1]
    return _aks(state, record) if record.type == _AKS else _eks(state, record)


def _aks(state: StateStore, record: ResourceRecord) -> ManagedCluster:
    get = _reader(record.inputs)
    region = str(get("location") or str(record.outputs["fqdn"]).split(".")[-3]).replace(" ", "").lower()
    own = f"{record.id}/agentPools/".lower()
    profiles = [
        *_items(get("agentPoolProfiles")),
        *(
            {**one.inputs, "name": one.inputs.get("agentPoolName")}
            for one in state.all(_POOL)
            if one.id.lower().startswith(own)
        ),
    ]
    pools = {str(profile["name"]): _agent_pool(state, profile, region, _default_pods(get)) for profile in profiles}
    name = record.id.rpartition("/")[2]
    return ManagedCluster(
        cloud="azure",
        name=name,
        region=region,
        owner=str(get("nodeResourceGroup") or f"MC_{get('resourceGroupName')}_{name}_{region}"),
        pools=tuple(pools.values()),
        addons=frozenset(service for service, (path, meant) in _AKS_SERVICES.items() if meant(get(path))),
        tenant=str(look_up(record.outputs, "oidcIssuerProfile.issuerURL", None) or "///").split("/")[3],
    )


# What AKS runs in a cluster: name -> (where its profile says so, what it has to say). Without a word from the stack,
# disks and files are on and blobs are off.
# Source: https://learn.microsoft.com/azure/aks/csi-storage-drivers
_AKS_SERVICES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "disk-csi": ("storageProfile.diskCSIDriver.enabled", lambda value: value is not False),
    "file-csi": ("storageProfile.fileCSIDriver.enabled", lambda value: value is not False),
    "blob-csi": ("storageProfile.blobCSIDriver.enabled", bool),
    "workload-identity": ("securityProfile.workloadIdentity.enabled", bool),
    "image-cleaner": ("securityProfile.imageCleaner.enabled", bool),
    "defender": ("securityProfile.defender.securityMonitoring.enabled", bool),
    "omsagent": ("addonProfiles.omsagent.enabled", bool),
    "azurepolicy": ("addonProfiles.azurepolicy.enabled", bool),
    "cilium": ("networkProfile.networkDataplane", lambda value: value == "cilium"),
    "kube-proxy": ("networkProfile.networkDataplane", lambda value: value != "cilium"),
    "overlay": ("networkProfile.networkPluginMode", lambda value: value == "overlay"),
}


def _agent_pool(state: StateStore, profile: Mapping[str, Any], region: str, default_pods: int) -> NodePool:
    scaled = profile.get("enableAutoScaling") is True
    count = int(profile["minCount"] if scaled else profile.get("count") or 1)
    mode = str(profile.get("mode") or "User").lower()
    spot = profile.get("scaleSetPriority") == "Spot"
    labels = {**profile.get("nodeLabels", {}), "agentpool": profile["name"]}
    labels |= {"kubernetes.azure.com/agentpool": profile["name"], "kubernetes.azure.com/mode": mode}
    taints = [_parsed_taint(text) for text in _items(profile.get("nodeTaints"))]
    if spot:  # https://learn.microsoft.com/azure/aks/spot-node-pool
        labels["kubernetes.azure.com/scalesetpriority"] = "spot"
        taints.append(Taint("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule"))
    subnet = state.find(str(profile.get("vnetSubnetID")))
    prefix = subnet.inputs.get("addressPrefix") if subnet else None
    return NodePool(
        name=str(profile["name"]),
        size=str(profile["vmSize"]),
        count=count,
        max_count=int(profile["maxCount"]) if scaled else count,
        # Nodes in no zone carry "0". Source: https://learn.microsoft.com/azure/aks/aks-zone-resilience
        zones=tuple(f"{region}-{zone}" for zone in _items(profile.get("availabilityZones"))) or ("0",),
        subnets=(Subnet(prefix or "10.224.0.0/16"),),  # what AKS makes where the stack names no subnet
        labels=labels,
        taints=tuple(taints),
        max_pods=int(profile.get("maxPods") or default_pods),
        disk=profile.get("osDiskSizeGB"),
    )


def _default_pods(get: Callable[[str], Any]) -> int:
    """Source: https://learn.microsoft.com/azure/aks/concepts-network-ip-address-planning#maximum-pods-per-node"""
    if get("networkProfile.networkPluginMode") == "overlay":
        return 250
    return 30 if get("networkProfile.networkPlugin") == "azure" else 110


def _parsed_taint(text: str) -> Taint:
    """A taint as AKS takes it: `key=value:Effect`."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return Taint(key, value, effect)


def _eks(state: StateStore, record: ResourceRecord) -> ManagedCluster:
    name = str(record.inputs["name"])
    addons = {one.inputs["addonName"]: one.inputs for one in _of(state, _ADDON, name)}
    own = () if record.inputs.get("bootstrapSelfManagedAddons") is False else _SELF_MANAGED
    _, _, _, region, account, _ = str(record.outputs["arn"]).split(":", 5)
    return ManagedCluster(
        cloud="aws",
        name=name,
        region=region,
        owner=account,
        pools=tuple(_node_group(state, group) for group in _of(state, _GROUP, name)),
        addons=frozenset([*addons, *own]),
        pod_identity_associations=frozenset(
            [
                *((one.inputs["namespace"], one.inputs["serviceAccount"]) for one in _of(state, _ASSOCIATION, name)),
                *(
                    ("kube-system", one["serviceAccount"])
                    for addon in addons.values()
                    for one in _items(addon.get("podIdentityAssociations"))
                ),
            ]
        ),
        load_balancer_subnet_roles=frozenset(
            role
            for subnet in state.all(_SUBNET)
            for role in _ROLES
            if subnet.inputs.get("tags", {}).get(f"kubernetes.io/role/{role}") in ("1", "")
        ),
        settings={
            addon: json.loads(inputs["configurationValues"])
            for addon, inputs in addons.items()
            if isinstance(inputs.get("configurationValues"), str)
        },
    )


def _node_group(state: StateStore, record: ResourceRecord) -> NodePool:
    get = _reader(record.inputs)
    name = str(record.outputs["nodeGroupName"])
    found = [state.find(str(id_)) for id_ in _items(get("subnetIds"))]
    subnets = tuple(Subnet(one.inputs["cidrBlock"], str(one.inputs["availabilityZone"])) for one in found if one)
    count = int(get("scalingConfig.desiredSize") or 0)
    capacity = str(get("capacityType") or "ON_DEMAND")
    return NodePool(
        name=name,
        size=str((get("instanceTypes") or ["t3.medium"])[0]),  # EKS's own default
        count=count,
        max_count=count,  # EKS scales nothing by itself
        zones=tuple(subnet.zone for subnet in subnets),
        subnets=subnets,
        labels={
            **(get("labels") or {}),
            "eks.amazonaws.com/nodegroup": name,
            "eks.amazonaws.com/capacityType": capacity,
        },
        taints=tuple(
            Taint(taint["key"], taint.get("value", ""), _EFFECTS[taint["effect"]]) for taint in _items(get("taints"))
        ),
        disk=_template_disk(state, str(get("launchTemplate.id"))) or get("diskSize") or _EKS_DISK,
    )


def _template_disk(state: StateStore, template: str) -> int | None:
    """GiB of the first disk that a launch template gives."""
    record = state.find(template)
    mappings = _items(record.inputs.get("blockDeviceMappings")) if record else []
    return next((int(one["ebs"]["volumeSize"]) for one in mappings if look_up(one, "ebs.volumeSize", None)), None)


def _of(state: StateStore, type_: str, cluster: str) -> Iterator[ResourceRecord]:
    return (record for record in state.all(type_) if record.inputs.get("clusterName") == cluster)


def _reader(inputs: Mapping[str, Any]) -> Callable[[str], Any]:
    return lambda path: look_up(inputs, path, None)


def _items(value: Iterable[Any] | None) -> list[Any]:
    return list(value or ())
