"""The managed cluster in the simulated cloud's state: AKS or EKS, reduced to what its cloud controller needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernel.paths import look_up
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore

_AKS_CLUSTER = "azure-native:containerservice:ManagedCluster"
_AGENT_POOL = "azure-native:containerservice:AgentPool"
_EKS_CLUSTER, _NODE_GROUP, _ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
_POD_IDENTITY_ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_SUBNET = "aws:ec2/subnet:Subnet"

# The add-ons of a cluster unless bootstrapSelfManagedAddons is false.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/eks-add-ons.html
_SELF_MANAGED_ADDONS = ("coredns", "kube-proxy", "vpc-cni")
_EKS_DISK = 20  # GiB, https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html (diskSize)
_EKS_VM_SIZE = "t3.medium"  # the same page, instanceTypes
_TAINT_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
_LOAD_BALANCER_ROLES = ("elb", "internal-elb")


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
    """A subnet of nodes. EKS's subnets have a zone, AKS's span all zones."""

    cidr: str
    zone: str = ""


@dataclass(frozen=True)
class NodePool:
    """Nodes of one size: an agent pool of AKS or a node group of EKS.

    count      nodes before the autoscaler adds any
    max_count  nodes that the cloud's own autoscaler may scale to; `count` if there is no autoscaler
    zones      values of topology.kubernetes.io/zone
    max_pods   per node; None if the VM size determines it
    disk       GiB; None if the VM size determines it
    version    Kubernetes version of the nodes; empty if the stack does not set it
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
    version: str = ""


@dataclass(frozen=True)
class ManagedCluster:
    """A managed cluster.

    cloud                       azure or aws
    version                     Kubernetes version of the control plane; empty if the stack does not set it
    service_range               addresses of services, in CIDR notation; empty if the stack does not set it
    owner                       AKS's node resource group, EKS's account
    addons                      components that the cloud runs: names of EKS add-ons, or keys of _AKS_ADDONS
    pod_identity_associations   (namespace, service account) of EKS Pod Identity
    load_balancer_subnet_roles  roles of tagged subnets for load balancers: elb, internal-elb
    addon_configuration         configuration values of EKS's add-ons, keyed by name
    api_subnets                 subnets of EKS's network interfaces, from which the control plane calls nodes and pods
    """

    cloud: str
    name: str
    region: str
    owner: str
    pools: tuple[NodePool, ...]
    addons: frozenset[str]
    version: str = ""
    service_range: str = ""
    tenant: str = ""
    pod_identity_associations: frozenset[tuple[str, str]] = frozenset()
    load_balancer_subnet_roles: frozenset[str] = frozenset()
    addon_configuration: Mapping[str, Any] = field(default_factory=dict)
    api_subnets: tuple[str, ...] = ()


def find_managed_cluster(state: StateStore) -> ManagedCluster | None:
    """The cluster in the state; during a replacement, the newer one. None if there is none."""
    clusters = [record for type_ in (_AKS_CLUSTER, _EKS_CLUSTER) for record in state.all(type_)]
    if not clusters:
        return None
    record = clusters[-1]
    return _read_aks(state, record) if record.type == _AKS_CLUSTER else _read_eks(state, record)


def _read_aks(state: StateStore, record: ResourceRecord) -> ManagedCluster:
    get = _reader(record.inputs)
    region = str(get("location") or str(record.outputs["fqdn"]).split(".")[-3]).replace(" ", "").lower()
    id_prefix = f"{record.id}/agentPools/".lower()
    profiles = [
        *_items(record.outputs.get("agentPoolProfiles") or get("agentPoolProfiles")),
        *(
            {**pool.inputs, **pool.outputs, "name": pool.inputs.get("agentPoolName")}
            for pool in state.all(_AGENT_POOL)
            if pool.id.lower().startswith(id_prefix)
        ),
    ]
    pools = {
        str(profile["name"]): _read_agent_pool(state, profile, region, _default_max_pods(get)) for profile in profiles
    }
    name = record.id.rpartition("/")[2]
    return ManagedCluster(
        cloud="azure",
        name=name,
        region=region,
        owner=str(get("nodeResourceGroup") or f"MC_{get('resourceGroupName')}_{name}_{region}"),
        pools=tuple(pools.values()),
        version=str(get("kubernetesVersion") or ""),
        service_range=str(get("networkProfile.serviceCidr") or ""),
        addons=frozenset(addon for addon, (path, is_on) in _AKS_ADDONS.items() if is_on(get(path))),
        tenant=str(look_up(record.outputs, "oidcIssuerProfile.issuerURL", "") or "///").split("/")[3],
    )


# AKS's components in a cluster: name -> (path of the property that decides, the values that enable it). By default,
# disks and files are on and blobs are off. Source: https://learn.microsoft.com/azure/aks/csi-storage-drivers
_AKS_ADDONS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
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


def _read_agent_pool(state: StateStore, profile: Mapping[str, Any], region: str, default_max_pods: int) -> NodePool:
    is_scaled = profile.get("enableAutoScaling") is True
    count = int(profile["minCount"] if is_scaled else profile.get("count") or 1)
    mode = str(profile.get("mode") or "User").lower()
    labels = {**profile.get("nodeLabels", {}), "agentpool": profile["name"]}
    labels |= {"kubernetes.azure.com/agentpool": profile["name"], "kubernetes.azure.com/mode": mode}
    taints = [_parse_taint(text) for text in _items(profile.get("nodeTaints"))]
    if profile.get("scaleSetPriority") == "Spot":  # https://learn.microsoft.com/azure/aks/spot-node-pool
        labels["kubernetes.azure.com/scalesetpriority"] = "spot"
        taints.append(Taint("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule"))
    subnet = state.find(str(profile.get("vnetSubnetID")))
    prefix = subnet.inputs.get("addressPrefix") if subnet else None
    return NodePool(
        name=str(profile["name"]),
        size=str(profile["vmSize"]),
        count=count,
        max_count=int(profile["maxCount"]) if is_scaled else count,
        # Nodes in no zone carry "0". Source: https://learn.microsoft.com/azure/aks/aks-zone-resilience
        zones=tuple(f"{region}-{zone}" for zone in _items(profile.get("availabilityZones"))) or ("0",),
        subnets=(Subnet(prefix or "10.224.0.0/16"),),  # AKS's own network if the stack sets no subnet
        labels=labels,
        taints=tuple(taints),
        max_pods=int(profile.get("maxPods") or default_max_pods),
        disk=profile.get("osDiskSizeGB"),
        version=str(profile.get("currentOrchestratorVersion") or ""),
    )


def _default_max_pods(get: Callable[[str], Any]) -> int:
    """Source: https://learn.microsoft.com/azure/aks/concepts-network-ip-address-planning#maximum-pods-per-node"""
    if get("networkProfile.networkPluginMode") == "overlay":
        return 250
    return 30 if get("networkProfile.networkPlugin") == "azure" else 110


def _parse_taint(text: str) -> Taint:
    """A taint in AKS's notation, `key=value:Effect`."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return Taint(key, value, effect)


def _read_eks(state: StateStore, record: ResourceRecord) -> ManagedCluster:
    name = str(record.inputs["name"])
    addons = {addon.inputs["addonName"]: addon.inputs for addon in _records_of(state, _ADDON, name)}
    is_bootstrapped = record.inputs.get("bootstrapSelfManagedAddons") is not False
    _, _, _, region, account, _ = str(record.outputs["arn"]).split(":", 5)
    associations = [record.inputs for record in _records_of(state, _POD_IDENTITY_ASSOCIATION, name)]
    return ManagedCluster(
        cloud="aws",
        name=name,
        region=region,
        owner=account,
        version=str(record.inputs.get("version") or ""),
        service_range=str(look_up(record.inputs, "kubernetesNetworkConfig.serviceIpv4Cidr", "")),
        pools=tuple(_read_node_group(state, group) for group in _records_of(state, _NODE_GROUP, name)),
        addons=frozenset([*addons, *(_SELF_MANAGED_ADDONS if is_bootstrapped else ())]),
        pod_identity_associations=frozenset(
            [
                *((inputs["namespace"], inputs["serviceAccount"]) for inputs in associations),
                *(
                    ("kube-system", association["serviceAccount"])
                    for addon in addons.values()
                    for association in _items(addon.get("podIdentityAssociations"))
                ),
            ]
        ),
        load_balancer_subnet_roles=frozenset(
            role
            for subnet in state.all(_SUBNET)
            for role in _LOAD_BALANCER_ROLES
            if subnet.inputs.get("tags", {}).get(f"kubernetes.io/role/{role}") in ("1", "")
        ),
        addon_configuration={
            addon: json.loads(inputs["configurationValues"])
            for addon, inputs in addons.items()
            if isinstance(inputs.get("configurationValues"), str)
        },
        api_subnets=tuple(
            subnet.inputs["cidrBlock"]
            for id_ in _items(look_up(record.inputs, "vpcConfig.subnetIds", ()))
            if (subnet := state.find(str(id_)))
        ),
    )


def _read_node_group(state: StateStore, record: ResourceRecord) -> NodePool:
    get = _reader(record.inputs)
    name = str(record.outputs["nodeGroupName"])
    found = [state.find(str(id_)) for id_ in _items(get("subnetIds"))]
    subnets = tuple(
        Subnet(subnet.inputs["cidrBlock"], str(subnet.inputs["availabilityZone"])) for subnet in found if subnet
    )
    count = int(get("scalingConfig.desiredSize") or 0)
    return NodePool(
        name=name,
        size=str((get("instanceTypes") or [_EKS_VM_SIZE])[0]),
        count=count,
        max_count=count,  # EKS itself has no autoscaler
        zones=tuple(subnet.zone for subnet in subnets),
        subnets=subnets,
        labels={
            **(get("labels") or {}),
            "eks.amazonaws.com/nodegroup": name,
            "eks.amazonaws.com/capacityType": str(get("capacityType") or "ON_DEMAND"),
        },
        taints=tuple(
            Taint(taint["key"], taint.get("value", ""), _TAINT_EFFECTS[taint["effect"]])
            for taint in _items(get("taints"))
        ),
        disk=_find_template_disk(state, str(get("launchTemplate.id"))) or get("diskSize") or _EKS_DISK,
        version=str(record.outputs.get("version") or ""),
    )


def _find_template_disk(state: StateStore, template: str) -> int | None:
    """GiB of the first volume in a launch template."""
    record = state.find(template)
    mappings = _items(record.inputs.get("blockDeviceMappings")) if record else []
    sizes = (look_up(mapping, "ebs.volumeSize", None) for mapping in mappings)
    return next((int(size) for size in sizes if size), None)


def _records_of(state: StateStore, type_: str, cluster: str) -> Iterator[ResourceRecord]:
    return (record for record in state.all(type_) if record.inputs.get("clusterName") == cluster)


def _reader(inputs: Mapping[str, Any]) -> Callable[[str], Any]:
    """A function that returns the property at a path; None if it is not set."""
    return lambda path: look_up(inputs, path, None)


def _items(value: Iterable[Any] | None) -> list[Any]:
    return list(value or ())
