"""Checks that names of Azure's services resolve to their private endpoints: from an endpoint to its zone and network.

Source: https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.graph import Wiring, describe, get_name, is_same

_ENDPOINT, _GROUP = "azure-native:network:PrivateEndpoint", "azure-native:network:PrivateDnsZoneGroup"
_ZONE, _LINK = "azure-native:privatedns:PrivateZone", "azure-native:privatedns:VirtualNetworkLink"
_SERVER = "azure-native:dbforpostgresql:Server"
# The zones of each group ID, according to that page.
_ZONES: Mapping[str, Sequence[str]] = {
    "vault": ("privatelink.vaultcore.azure.net",),
    "registry": ("privatelink.azurecr.io",),
    "blob": ("privatelink.blob.core.windows.net",),
    "dfs": ("privatelink.dfs.core.windows.net",),
    "file": ("privatelink.file.core.windows.net",),
    "queue": ("privatelink.queue.core.windows.net",),
    "table": ("privatelink.table.core.windows.net",),
    "sql": ("privatelink.documents.azure.com",),
    "amlworkspace": ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"),
}


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for endpoint in wiring.clouds.all(_ENDPOINT):
        yield from _check_endpoint(wiring, endpoint)
    for server in wiring.clouds.all(_SERVER):
        subnet = str(look_up(server.inputs, "network.delegatedSubnetResourceId", ""))
        found = wiring.clouds.find(str(look_up(server.inputs, "network.privateDnsZoneArmResourceId", "")))
        if subnet and found:
            yield from _check_link(wiring, found, subnet.rpartition("/subnets/")[0], describe(server))
    linked = {str(link.inputs.get("privateZoneName")) for link in wiring.clouds.all(_LINK)}
    for zone in wiring.clouds.all(_ZONE):
        if get_name(zone) not in linked:
            yield Problem(describe(zone), "no network is linked to it, so it is not used", "link it")


def _check_endpoint(wiring: Wiring, endpoint: Resource) -> Iterator[Problem]:
    network = str(look_up(endpoint.inputs, "subnet.id", "")).rpartition("/subnets/")[0]
    zones = list(_list_zones(wiring, endpoint))
    names = {get_name(zone) for zone in zones}
    for connection in as_list(endpoint.inputs.get("privateLinkServiceConnections")):
        groups = [str(group).lower() for group in as_list(connection.get("groupIds"))]
        if not groups:
            yield Problem(describe(endpoint), "it has no group IDs for its target", "set groupIds")
        for zone in (zone for group in groups for zone in _ZONES.get(group, ())):
            if zone not in names:
                reason = f"zone {zone} has no record of it, so its target's name resolves to the public address"
                yield Problem(describe(endpoint), reason, "add the zone to a PrivateDnsZoneGroup of the endpoint")
    for found in zones:
        yield from _check_link(wiring, found, network, describe(endpoint))


def _list_zones(wiring: Wiring, endpoint: Resource) -> Iterator[Resource]:
    for group in wiring.clouds.all(_GROUP):
        if group.id.lower().startswith(f"{endpoint.id.lower()}/"):
            for configuration in as_list(group.inputs.get("privateDnsZoneConfigs")):
                zone = wiring.clouds.find(str(configuration.get("privateDnsZoneId")))
                if zone is not None:
                    yield zone


def _check_link(wiring: Wiring, zone: Resource, network: str, user: str) -> Iterator[Problem]:
    links = [link for link in wiring.clouds.all(_LINK) if link.id.lower().startswith(f"{zone.id.lower()}/")]
    if not any(is_same(look_up(link.inputs, "virtualNetwork.id", ""), network) for link in links):
        reason = f"it is not linked to {network.rpartition('/')[2]}, the network of {user}"
        yield Problem(describe(zone), reason, "link the zone to the network")
