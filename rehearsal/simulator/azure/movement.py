"""Actors on Azure: what Azure, controllers and people change between two deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from kernel.paths import look_up
from kernel.support_calendars import AKS
from rehearsal.simulator.core.movement import Actor, Move, each_item, find_next_supported
from rehearsal.simulator.core.resource_model import StateReader
from rehearsal.simulator.core.transitions import parse_version

_CLUSTER, _POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
_SERVER, _KEY = "azure-native:dbforpostgresql:Server", "azure-native:keyvault:Key"
_DISKS = "azure-native:compute:DiskEncryptionSet"
_NETWORK = "azure-native:network:VirtualNetwork"


def _scale_nodes(state: StateReader, _today: date) -> Iterator[Move]:
    """AKS's autoscaler sets the number of nodes up to the maximum.

    Source: https://learn.microsoft.com/azure/aks/cluster-autoscaler-overview
    """
    for cluster in state.all(_CLUSTER):
        for path, pool in each_item(cluster, "agentPoolProfiles"):
            if pool.get("enableAutoScaling") is True:
                yield Move(cluster, f"{path}.count", pool["maxCount"])
    for found in state.all(_POOL):
        if found.inputs.get("enableAutoScaling") is True:
            yield Move(found, "count", found.inputs["maxCount"])


def _grow_storage(state: StateReader, _today: date) -> Iterator[Move]:
    """A disk that is nearly full grows to the next size.

    Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage#storage-autogrow
    """
    for server in state.all(_SERVER):
        size = look_up(server.inputs, "storage.storageSizeGB", 0)
        if look_up(server.inputs, "storage.autoGrow", None) == "Enabled" and size:
            yield Move(server, "storage.storageSizeGB", size * 2)


def _fail_over(state: StateReader, _today: date) -> Iterator[Move]:
    """The standby becomes the primary: their zones are exchanged.

    Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/13443
    """
    for server in state.all(_SERVER):
        if look_up(server.inputs, "highAvailability.mode", None) == "ZoneRedundant":
            first = look_up(server.inputs, "availabilityZone", "1")
            second = look_up(server.inputs, "highAvailability.standbyAvailabilityZone", "2")
            yield Move(server, "availabilityZone", second)
            yield Move(server, "highAvailability.standbyAvailabilityZone", first)


def _patch(state: StateReader, _today: date) -> Iterator[Move]:
    """AKS installs patch versions through its upgrade channel, and new node images.

    Source: https://learn.microsoft.com/azure/aks/auto-upgrade-cluster
    """
    for cluster in state.all(_CLUSTER):
        if look_up(cluster.inputs, "autoUpgradeProfile.upgradeChannel", "none") != "none":
            numbers = parse_version(cluster.outputs.get("currentKubernetesVersion"))
            yield Move(cluster, "currentKubernetesVersion", f"{numbers[0]}.{numbers[1]}.{numbers[2] + 1}")
        for path, _ in each_item(cluster, "agentPoolProfiles"):
            yield Move(cluster, f"{path}.nodeImageVersion", "AKSAzureLinux-V3gen2-202612.01.0")


def _rotate_keys(state: StateReader, _today: date) -> Iterator[Move]:
    """A key's rotation policy creates a new version of it, which disk encryption sets use instead of the old one.

    Sources: https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation and
    https://learn.microsoft.com/azure/virtual-machines/disk-encryption#automatic-key-rotation-of-customer-managed-keys
    """
    for key in state.all(_KEY):
        if key.inputs.get("properties", {}).get("rotationPolicy"):
            old = key.outputs.get("keyUriWithVersion")
            new = f"{str(old).rpartition('/')[0]}/{'0123456789abcdef' * 2}"
            yield Move(key, "keyUriWithVersion", new)
            for disks in state.all(_DISKS):
                follows = disks.inputs.get("rotationToLatestKeyVersionEnabled") is True
                if follows and look_up(disks.inputs, "activeKey.keyUrl", None) == old:
                    yield Move(disks, "activeKey.keyUrl", new)


def _end_support(state: StateReader, today: date) -> Iterator[Move]:
    """AKS upgrades a cluster that is about to be four minor versions behind to the oldest supported version.

    Source: https://learn.microsoft.com/azure/aks/auto-upgrade-cluster#customer-versus-aks-initiated-auto-upgrades
    """
    oldest = next((version for version, end in AKS.ends.items() if end >= today), None)
    for cluster in state.all(_CLUSTER):
        version = str(cluster.inputs.get("kubernetesVersion", ""))
        behind = parse_version(oldest)[1] - parse_version(version)[1] if oldest and parse_version(version) else 0
        later = find_next_supported(AKS, version, today) if behind >= 2 else None
        if later:
            yield Move(cluster, "kubernetesVersion", later)


def _edit(state: StateReader, _today: date) -> Iterator[Move]:
    """Somebody opens the Kubernetes API to every address, and changes the owner in the network's tags."""
    for cluster in state.all(_CLUSTER):
        yield Move(cluster, "apiServerAccessProfile.authorizedIPRanges", ["0.0.0.0/0"])
    for network in state.all(_NETWORK):
        yield Move(network, "tags.owner", "somebody")


ACTORS: Mapping[str, Actor] = {
    "autoscaler": _scale_nodes,
    "growth": _grow_storage,
    "failover": _fail_over,
    "patch": _patch,
    "rotation": _rotate_keys,
    "end-of-support": _end_support,
    "person": _edit,
}
