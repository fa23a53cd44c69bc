"""AKS: the API server's subnet, its names, and whether it is private."""

from __future__ import annotations

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import get_location
from rehearsal.simulator.azure.nodes import POOL_CHANGE_REFUSED
from rehearsal.simulator.core.resource_model import ResourceRequest
from rehearsal.simulator.core.rules import parse_cidr
from rehearsal.simulator.core.transitions import get_change

_LONGEST_PREFIX = 28  # of the API server's subnet


# Source: https://learn.microsoft.com/azure/aks/api-server-vnet-integration; the messages are not Azure's own.
def check_api_subnet(request: ResourceRequest) -> str | None:
    subnet = request.state.find(str(request.get("apiServerAccessProfile.subnetId")))
    if subnet is None:
        return None
    services = [item["serviceName"] for item in subnet.inputs.get("delegations", ())]
    if "Microsoft.ContainerService/managedClusters" not in services:
        return f"The API server's subnet {subnet.id} is not delegated to Microsoft.ContainerService/managedClusters."
    prefix = parse_cidr(subnet.inputs.get("addressPrefix"))
    if prefix and prefix.prefixlen > _LONGEST_PREFIX:
        return f"Subnet {subnet.id} is too small for the API server: {prefix}. It needs at least a /{_LONGEST_PREFIX}."
    return None


def _can_change_privacy(request: ResourceRequest) -> bool:
    """Whether an update can make the cluster private or public, which requires API server VNet integration.

    Source: https://learn.microsoft.com/azure/aks/api-server-vnet-integration
    """
    return request.get("apiServerAccessProfile.enableVnetIntegration") in (True, UNKNOWN)


def refuse_privacy_change(request: ResourceRequest) -> str | None:
    path = "apiServerAccessProfile.enablePrivateCluster"
    change = get_change(request, path)
    if change is None or bool(change[0]) == bool(change[1]) or _can_change_privacy(request):
        return None
    return POOL_CHANGE_REFUSED.format(path=path, old=change[0], new=change[1])


def build_fqdn(request: ResourceRequest) -> str:
    return f"{request.get('dnsPrefix')}-{request.hex(8)}.hcp.{get_location(request)}.azmk8s.io"


def build_private_fqdn(request: ResourceRequest) -> str | None:
    if request.get("apiServerAccessProfile.enablePrivateCluster") is not True:
        return None
    host = f"{request.get('dnsPrefix')}-{request.hex(8)}"
    return f"{host}.{request.uuid('zone')}.privatelink.{get_location(request)}.azmk8s.io"
