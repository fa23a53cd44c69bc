"""What Azure refuses because of what exists, or does not: parents, targets, addresses, roles, keys and zones.

Proves for each rule that its breach passes the check of inputs and is refused on creation, and that the same steps
pass without it. That Azure has the rule, or says it in these words, is not proven: no test asks Azure. A refusal
without an error code in front paraphrases Azure; its code was not known.
"""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator.core.errors import CloudError
from tests.support.azure_subscription import (
    API,
    DATABASE,
    GOOD,
    GROUP,
    SERVER,
    VAULT,
    VNET,
    ZONE,
    ZONES,
    Azure,
    changed,
    endpoint,
    in_group,
    subnet,
)

REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/registry1"
SMALL_REGISTRY = in_group(registryName="registry1", sku={"name": "Standard"})
LINK = in_group(
    privateZoneName="privatelink.azurecr.io",
    virtualNetworkLinkName="one",
    location="global",
    virtualNetwork={"id": VNET},
)
CARELESS_VAULT = in_group(vaultName="kv-two", properties={"tenantId": "t", "sku": {"name": "standard"}})
ROLE = GOOD["authorization:RoleAssignment"]

# What has to be there first, the type asked for, its inputs, and a piece of Azure's words.
IMPOSSIBLE: list[tuple[list[tuple[str, dict[str, Any]]], str, dict[str, Any], str]] = [
    ([], "managedidentity:UserAssignedIdentity", {"resourceGroupName": "no", "resourceName": "abc"}, "GroupNotFound"),
    ([], "network:Subnet", subnet("far", "10.1.0.0/24"), "NetcfgInvalidSubnet"),
    ([], "network:Subnet", subnet("twin", "10.0.65.0/25"), "NetcfgSubnetRangesOverlap"),
    ([], "network:Subnet", {**subnet("x", "10.0.99.0/24"), "virtualNetworkName": "other"}, "ParentResourceNotFound"),
    (
        [],
        "network:Subnet",
        subnet("x", "10.0.99.0/24", networkSecurityGroup={"id": f"{GROUP}/providers/Microsoft.Network/nsg/x"}),
        "InvalidResourceReference",
    ),
    (
        [("containerregistry:Registry", SMALL_REGISTRY)],
        "network:PrivateEndpoint",
        endpoint(REGISTRY, "registry"),
        "SKU",
    ),
    ([], "network:PrivateEndpoint", endpoint(VAULT, "blob"), "is not a group"),
    ([], "network:PrivateEndpoint", endpoint(VAULT, "vault", DATABASE), "delegated to"),
    (
        [("privatedns:PrivateZone", GOOD["privatedns:PrivateZone"]), ("privatedns:VirtualNetworkLink", LINK)],
        "privatedns:VirtualNetworkLink",
        {**LINK, "virtualNetworkLinkName": "two"},
        "overlapping namespaces",
    ),
    ([], "authorization:RoleAssignment", {**ROLE, "principalId": "x"}, "PrincipalNotFound"),
    (
        [("authorization:RoleAssignment", ROLE)],
        "authorization:RoleAssignment",
        {**ROLE, "roleAssignmentName": "0a1b2c3d-0000-4000-8000-000000000009"},
        "RoleAssignmentExists",
    ),
    (
        [],
        "authorization:RoleAssignment",
        {**ROLE, "scope": f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-two"},
        "ResourceNotFound",
    ),
    (
        [],
        "authorization:RoleAssignment",
        {**ROLE, "scope": "/subscriptions/other/resourceGroups/rg"},
        "SubscriptionNotFound",
    ),
    ([], "keyvault:Key", in_group(vaultName="kv-one", keyName="hsm", properties={"kty": "RSA-HSM"}), "premium"),
    (
        [],
        "compute:DiskEncryptionSet",
        in_group(
            diskEncryptionSetName="disks",
            activeKey={"keyUrl": f"https://kv-one.vault.azure.net/keys/lost/{'0' * 32}"},
        ),
        "KeyNotFound",
    ),
    (
        [("keyvault:Vault", CARELESS_VAULT)],
        "storage:StorageAccount",
        changed(
            GOOD["storage:StorageAccount"],
            "encryption.keyVaultProperties.keyVaultUri",
            "https://kv-two.vault.azure.net/",
        ),
        "KeyVaultPolicyError",
    ),
    (
        [("storage:StorageAccount", GOOD["storage:StorageAccount"])],
        "storage:BlobContainer",
        {**GOOD["storage:BlobContainer"], "publicAccess": "Blob"},
        "PublicAccessNotPermitted",
    ),
    (
        [("cosmosdb:DatabaseAccount", GOOD["cosmosdb:DatabaseAccount"])],
        "cosmosdb:SqlResourceSqlDatabase",
        {**GOOD["cosmosdb:SqlResourceSqlDatabase"], "options": {"autoscaleSettings": {"maxThroughput": 1000}}},
        "serverless",
    ),
    (
        [("privatedns:PrivateZone", ZONE)],
        "dbforpostgresql:Server",
        changed(SERVER, "network.delegatedSubnetResourceId", API),
        "not delegated",
    ),
    (
        [("privatedns:PrivateZone", GOOD["privatedns:PrivateZone"])],
        "dbforpostgresql:Server",
        changed(SERVER, "network.privateDnsZoneArmResourceId", f"{ZONES}/privatelink.azurecr.io"),
        "must end with",
    ),
]


@pytest.mark.parametrize(("before", "type_", "inputs", "words"), IMPOSSIBLE)
def test_what_does_not_fit_the_world_is_refused(
    azure: Azure, before: list[tuple[str, dict[str, Any]]], type_: str, inputs: dict[str, Any], words: str
) -> None:
    for other, theirs in before:
        azure.create(other, theirs)
    assert azure.check(type_, inputs) == []
    with pytest.raises(CloudError, match=words):
        azure.create(type_, inputs)


def test_what_fits_the_world_is_created(azure: Azure) -> None:
    """The same steps as above, with nothing wrong: it is the fault that is refused, not the step."""
    azure.create("network:Subnet", subnet("near", "10.0.99.0/24"))
    azure.good("containerregistry:Registry", "privatedns:PrivateZone", "storage:StorageAccount")
    azure.good("storage:BlobContainer", "cosmosdb:DatabaseAccount", "cosmosdb:SqlResourceSqlDatabase")
    azure.good("authorization:RoleAssignment", "cosmosdb:SqlResourceSqlContainer")
    azure.good("cosmosdb:SqlResourceSqlRoleAssignment", "operationalinsights:Workspace", "monitor:DiagnosticSetting")
    azure.create("privatedns:VirtualNetworkLink", LINK)
    azure.create("network:PrivateEndpoint", endpoint(REGISTRY, "registry"))
    azure.create("privatedns:PrivateZone", ZONE)
    azure.good("dbforpostgresql:Server", "network:FlowLog")
    version = next(iter(azure.simulation._state.all("azure-native:keyvault:Key"))).outputs["keyUriWithVersion"]
    azure.create("compute:DiskEncryptionSet", in_group(diskEncryptionSetName="d", activeKey={"keyUrl": version}))
