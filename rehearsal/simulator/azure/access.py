"""Who can reach a stack's services on Azure: its Kubernetes API, and what is behind private endpoints or in subnets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.paths import look_up
from rehearsal.simulator.azure.identity import get_object_id, has_role
from rehearsal.simulator.core.access import ServiceAccess, admits, is_private
from rehearsal.simulator.core.circumstances import Caller
from rehearsal.simulator.core.resource_model import Resource, StateReader

_CLUSTER = "azure-native:containerservice:ManagedCluster"
_SERVER = "azure-native:dbforpostgresql:Server"
VAULT = "azure-native:keyvault:Vault"
# Services with private endpoints, and the property that says whether they can be reached in other ways too.
ENDPOINT_SERVICES = {
    VAULT: ("vault", "properties.publicNetworkAccess"),
    "azure-native:containerregistry:Registry": ("registry", "publicNetworkAccess"),
    "azure-native:storage:StorageAccount": ("storage account", "publicNetworkAccess"),
    "azure-native:cosmosdb:DatabaseAccount": ("document database", "publicNetworkAccess"),
}
_KUBERNETES_ROLE = "Azure Kubernetes Service RBAC Cluster Admin"
# Roles of the data plane; Owner and Contributor are not among them.
# Source: https://learn.microsoft.com/azure/key-vault/general/rbac-guide
_VAULT_ROLES = ("Key Vault Administrator", "Key Vault Crypto Officer", "Key Vault Secrets Officer")
_UNREACHABLE = (
    'configured Kubernetes cluster is unreachable: unable to load schema information from the API server: Get "{}": '
)


def describe_service_access(state: StateReader, caller: Caller) -> Iterator[ServiceAccess]:
    """Each cluster's API server, vault, registry, store and database, and whether the caller can reach it."""
    for cluster in state.all(_CLUSTER):
        yield ServiceAccess("Kubernetes API", _get_name(cluster), _find_cluster_refusal(state, cluster, caller))
    for server in state.all(_SERVER):
        is_inside = look_up(server.inputs, "network.delegatedSubnetResourceId", None) is not None
        is_refused = is_inside and not is_private(caller.address)
        reason = f"it is in a subnet (delegatedSubnetResourceId), and {caller.address} is outside"
        yield ServiceAccess("database", _get_name(server), f"connection timed out: {reason}." if is_refused else "")
    for type_, (service, _) in ENDPOINT_SERVICES.items():
        for resource in state.all(type_):
            refusal = _find_endpoint_refusal(state, resource, caller)
            if not refusal and type_ == VAULT:
                refusal = _find_missing_vault_role(state, resource, caller)
            yield ServiceAccess(service, _get_name(resource), refusal)


def find_vault_refusal(state: StateReader, vault: Resource, caller: Caller) -> str:
    """Why the caller cannot use a vault's data plane, which deletes keys and secrets; empty if it can."""
    return _find_endpoint_refusal(state, vault, caller) or _find_missing_vault_role(state, vault, caller)


def _find_cluster_refusal(state: StateReader, cluster: Resource, caller: Caller) -> str:
    """Source: https://learn.microsoft.com/azure/aks/private-clusters and api-server-authorized-ip-ranges there."""
    access: Mapping[str, Any] = cluster.inputs.get("apiServerAccessProfile", {})
    host = str(cluster.inputs.get("dnsPrefix", _get_name(cluster)))
    unreachable = _UNREACHABLE.format(f"https://{host}")
    ranges = access.get("authorizedIPRanges") or ()
    if is_private(caller.address):
        if caller.address and access.get("enablePrivateCluster") is True:
            subnet = state.find(str(access.get("subnetId")))
            if subnet and not _admits_address(state, subnet, caller.address, "443"):
                return (
                    f"{unreachable}dial tcp: i/o timeout. The security group of the API server's subnet {subnet.id} "
                    f"denies {caller.address} port 443.{caller.name_setting('private')}"
                )
    elif access.get("enablePrivateCluster") is True:
        return (
            f"{unreachable}dial tcp: i/o timeout. The cluster is private (enablePrivateCluster), and {caller.address} "
            f"is outside: deploy from a connected network.{caller.name_setting('private')}"
        )
    elif ranges and not admits(ranges, caller.address):
        return (
            f"{unreachable}dial tcp: i/o timeout. The authorizedIPRanges do not contain {caller.address}."
            f"{caller.name_setting('public')}"
        )
    if any(has_role(state, principal, _KUBERNETES_ROLE, cluster.id) for principal in _list_principals(caller)):
        return ""
    return (
        f"{unreachable}forbidden: User {get_object_id(caller.describe())} does not have access to the resource in "
        f"Azure. Update role assignment to allow access: {_KUBERNETES_ROLE}.{caller.name_setting('admins')}"
    )


def _find_endpoint_refusal(state: StateReader, resource: Resource, caller: Caller) -> str:
    """Source: https://learn.microsoft.com/azure/private-link/private-endpoint-overview."""
    _, path = ENDPOINT_SERVICES[resource.type]
    if look_up(resource.inputs, path, "Enabled") != "Disabled":
        return ""
    if not is_private(caller.address):
        return (
            "Forbidden: Public network access is disabled and request is not from a trusted service nor via an "
            f"approved private link. {caller.address} is outside: deploy from a connected network, or set {path}."
        )
    if any(_leads_to(endpoint, resource) for endpoint in state.all("azure-native:network:PrivateEndpoint")):
        return ""
    return f"Forbidden: Public network access is disabled ({path}), and no private endpoint leads to {resource.id}."


def _leads_to(endpoint: Resource, resource: Resource) -> bool:
    connections = endpoint.inputs.get("privateLinkServiceConnections", ())
    return any(str(one.get("privateLinkServiceId")).lower() == resource.id.lower() for one in connections)


def _find_missing_vault_role(state: StateReader, vault: Resource, caller: Caller) -> str:
    if look_up(vault.inputs, "properties.enableRbacAuthorization", False) is not True:
        return ""
    principals = _list_principals(caller)
    if any(has_role(state, principal, role, vault.id) for principal in principals for role in _VAULT_ROLES):
        return ""
    return (
        f"ForbiddenByRbac: Caller {principals[0]} is not authorized to perform action on resource {vault.id}: assign "
        f"it a role of the data plane, such as {_VAULT_ROLES[0]}."
    )


def _admits_address(state: StateReader, subnet: Resource, address: str, port: str) -> bool:
    """Whether the rules of a subnet's security group admit an address of a connected network.

    Source: https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview. Its default rules admit
    all connected networks. Rules with several prefixes or ports are not evaluated: infra does not use them.
    """
    group = state.find(str(look_up(subnet.inputs, "networkSecurityGroup.id", "")))
    rules = group.inputs.get("securityRules", ()) if group else ()
    for rule in sorted(rules, key=lambda each: int(each["priority"])):
        applies = rule.get("direction") == "Inbound" and rule.get("destinationPortRange") in (port, "*")
        if applies and admits([rule.get("sourceAddressPrefix")], address):
            return bool(rule.get("access") == "Allow")
    return True


def _list_principals(caller: Caller) -> list[str]:
    return [get_object_id(caller.describe()), *caller.principals]


def _get_name(resource: Resource) -> str:
    return resource.id.rpartition("/")[2]
