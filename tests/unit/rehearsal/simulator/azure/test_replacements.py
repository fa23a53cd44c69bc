"""Which changes make the engine replace an Azure resource, and which ones the provider applies in place.

Proves the models at the provider protocol's Diff. Not proven: that the provider replaces resources for these
properties; the models name the sources.
"""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator.core.values import Values
from tests.support.azure_subscription import VALID_INPUTS, Subscription, private_endpoint
from tests.support.transitions import inputs_at

_SERVER, _COMPUTE = "dbforpostgresql:Server", "machinelearningservices:Compute"
_CLUSTER, _POOL = "containerservice:ManagedCluster", "containerservice:AgentPool"
_INPUTS = {
    **VALID_INPUTS,
    "network:PrivateEndpoint": private_endpoint("vault", "vault"),
    "network:NatGateway": {"sku": {"name": "Standard"}},
}

REPLACED = [
    (_CLUSTER, "networkProfile.podCidrs", ["10.1.0.0/16"], ["10.2.0.0/16"]),
    (_CLUSTER, "networkProfile.ipFamilies", ["IPv4"], ["IPv4", "IPv6"]),
    (_POOL, "networkProfile.nodePublicIPTags", [{"tag": "a"}], [{"tag": "b"}]),
    (_SERVER, "administratorLogin", "one", "two"),
    (_SERVER, "availabilityZone", "1", "2"),
    (_SERVER, "backup.geoRedundantBackup", "Enabled", "Disabled"),
    (_COMPUTE, "properties.disableLocalAuth", True, False),
    (_COMPUTE, "properties.computeLocation", "westeurope", "northeurope"),
    ("network:VirtualNetwork", "location", "westeurope", "northeurope"),
    ("network:PrivateEndpoint", "subnet", {"id": "a"}, {"id": "b"}),
]
IN_PLACE = [
    (_SERVER, "network.delegatedSubnetResourceId", "a", "b"),
    (_SERVER, "network.privateDnsZoneArmResourceId", "a", "b"),
    (_SERVER, "dataEncryption.type", "SystemManaged", "AzureKeyVault"),
    ("cosmosdb:SqlResourceSqlRoleAssignment", "principalId", "a", "b"),
    ("cosmosdb:SqlResourceSqlRoleAssignment", "scope", "/a", "/b"),
    ("dbforpostgresql:Database", "charset", "UTF8", "LATIN1"),
    ("dbforpostgresql:Database", "collation", "en_US.utf8", "C"),
    ("keyvault:Key", "properties.kty", "RSA", "EC"),
    ("keyvault:Key", "properties.keySize", 3072, 4096),
    ("containerregistry:Registry", "zoneRedundancy", "Enabled", "Disabled"),
    ("containerregistry:Registry", "encryption.status", "enabled", "disabled"),
    (_COMPUTE, "properties.properties.vmSize", "Standard_D4s_v5", "Standard_D8s_v5"),
    (_COMPUTE, "properties.properties.vmPriority", "LowPriority", "Dedicated"),
    ("machinelearningservices:Workspace", "keyVault", "a", "b"),
    ("machinelearningservices:Workspace", "storageAccount", "a", "b"),
    ("machinelearningservices:Workspace", "hbiWorkspace", False, True),
    ("machinelearningservices:Workspace", "encryption.status", "Enabled", "Disabled"),
    ("network:VirtualNetworkPeering", "remoteVirtualNetwork.id", "a", "b"),
    ("network:FlowLog", "targetResourceId", "a", "b"),
    ("privatedns:VirtualNetworkLink", "virtualNetwork.id", "a", "b"),
    ("keyvault:Vault", "location", "westeurope", "northeurope"),
    *(
        (f"network:{type_}", "location", "westeurope", "northeurope")
        for type_ in ("NetworkSecurityGroup", "NatGateway", "PrivateEndpoint", "FlowLog")
    ),
]


def _is_replaced(type_: str, path: str, old: Any, new: Any) -> bool:
    before, after = (Values(inputs_at(_INPUTS.get(type_, {}), path, value)) for value in (old, new))
    difference = Subscription().simulation.diff("urn:pulumi:s::p::t::it", f"azure-native:{type_}", "it", before, after)
    assert difference.changed
    return bool(difference.replaces)


@pytest.mark.parametrize(("type_", "path", "old", "new"), REPLACED)
def test_a_change_of_a_property_set_only_at_creation_replaces(type_: str, path: str, old: Any, new: Any) -> None:
    assert _is_replaced(type_, path, old, new)


@pytest.mark.parametrize(("type_", "path", "old", "new"), IN_PLACE)
def test_the_provider_requests_any_other_change_from_azure(type_: str, path: str, old: Any, new: Any) -> None:
    assert not _is_replaced(type_, path, old, new)
