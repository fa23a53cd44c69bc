"""What Azure refuses because of existing or missing resources: parents, targets, addresses, roles, keys and zones.

Proves for each rule that a violation passes the check of inputs and is refused on creation, and that valid requests of
the same types succeed. Not proven: that Azure has these rules and messages. No test calls Azure. A message that does
not start with an error code is a paraphrase: Azure's code was not known.
"""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator.core.errors import CloudError
from tests.support.azure_subscription import (
    API,
    DATABASE,
    GROUP,
    SERVER,
    VALID_INPUTS,
    VAULT,
    VNET,
    ZONE,
    ZONES,
    Subscription,
    in_group,
    private_endpoint,
    subnet_inputs,
    with_change,
)

REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/registry1"
SMALL_REGISTRY = in_group(registryName="registry1", sku={"name": "Standard"})
LINK = in_group(
    privateZoneName="privatelink.azurecr.io",
    virtualNetworkLinkName="one",
    location="global",
    virtualNetwork={"id": VNET},
)
UNPROTECTED_VAULT = in_group(
    vaultName="kv-two", properties={"tenantId": "t", "sku": {"family": "A", "name": "standard"}}
)
ROLE = VALID_INPUTS["authorization:RoleAssignment"]
COSMOS_ROLE = VALID_INPUTS["cosmosdb:SqlResourceSqlRoleAssignment"]

# The resources to create first, then a type, its inputs, and a part of the error message.
REFUSED: list[tuple[list[tuple[str, dict[str, Any]]], str, dict[str, Any], str]] = [
    ([], "managedidentity:UserAssignedIdentity", {"resourceGroupName": "no", "resourceName": "abc"}, "GroupNotFound"),
    ([], "network:Subnet", subnet_inputs("far", "10.1.0.0/24"), "NetcfgInvalidSubnet"),
    ([], "network:Subnet", subnet_inputs("twin", "10.0.65.0/25"), "NetcfgSubnetRangesOverlap"),
    (
        [],
        "network:Subnet",
        {**subnet_inputs("x", "10.0.99.0/24"), "virtualNetworkName": "other"},
        "ParentResourceNotFound",
    ),
    (
        [],
        "network:Subnet",
        subnet_inputs("x", "10.0.99.0/24", networkSecurityGroup={"id": f"{GROUP}/providers/Microsoft.Network/nsg/x"}),
        "InvalidResourceReference",
    ),
    (
        [("containerregistry:Registry", SMALL_REGISTRY)],
        "network:PrivateEndpoint",
        private_endpoint(REGISTRY, "registry"),
        "SKU",
    ),
    ([], "network:PrivateEndpoint", private_endpoint(VAULT, "vault", DATABASE), "delegated to"),
    (
        [("privatedns:PrivateZone", VALID_INPUTS["privatedns:PrivateZone"]), ("privatedns:VirtualNetworkLink", LINK)],
        "privatedns:VirtualNetworkLink",
        {**LINK, "virtualNetworkLinkName": "two"},
        "overlapping namespaces",
    ),
    (
        [
            ("privatedns:PrivateZone", VALID_INPUTS["privatedns:PrivateZone"]),
            ("privatedns:VirtualNetworkLink", LINK),
            ("resources:ResourceGroup", {"resourceGroupName": "other", "location": "westeurope"}),
            ("privatedns:PrivateZone", {**VALID_INPUTS["privatedns:PrivateZone"], "resourceGroupName": "other"}),
        ],
        "privatedns:VirtualNetworkLink",
        {**LINK, "resourceGroupName": "other"},
        "overlapping namespaces",
    ),
    (
        [("cosmosdb:DatabaseAccount", VALID_INPUTS["cosmosdb:DatabaseAccount"])],
        "cosmosdb:SqlResourceSqlRoleAssignment",
        {**COSMOS_ROLE, "principalId": "x"},
        r"\[x\] was not found in the AAD",
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
        [("keyvault:Vault", UNPROTECTED_VAULT)],
        "storage:StorageAccount",
        with_change(
            VALID_INPUTS["storage:StorageAccount"],
            "encryption.keyVaultProperties.keyVaultUri",
            "https://kv-two.vault.azure.net/",
        ),
        "KeyVaultPolicyError",
    ),
    (
        [("storage:StorageAccount", VALID_INPUTS["storage:StorageAccount"])],
        "storage:BlobContainer",
        {**VALID_INPUTS["storage:BlobContainer"], "publicAccess": "Blob"},
        "PublicAccessNotPermitted",
    ),
    (
        [("cosmosdb:DatabaseAccount", VALID_INPUTS["cosmosdb:DatabaseAccount"])],
        "cosmosdb:SqlResourceSqlDatabase",
        {**VALID_INPUTS["cosmosdb:SqlResourceSqlDatabase"], "options": {"autoscaleSettings": {"maxThroughput": 1000}}},
        "serverless",
    ),
    (
        [("privatedns:PrivateZone", ZONE)],
        "dbforpostgresql:Server",
        with_change(SERVER, "network.delegatedSubnetResourceId", API),
        "not delegated",
    ),
    (
        [("privatedns:PrivateZone", VALID_INPUTS["privatedns:PrivateZone"])],
        "dbforpostgresql:Server",
        with_change(SERVER, "network.privateDnsZoneArmResourceId", f"{ZONES}/privatelink.azurecr.io"),
        "must end with",
    ),
]


@pytest.mark.parametrize(("before", "type_", "inputs", "message"), REFUSED)
def test_a_request_that_contradicts_the_state_is_refused(
    azure: Subscription, before: list[tuple[str, dict[str, Any]]], type_: str, inputs: dict[str, Any], message: str
) -> None:
    for other_type, other_inputs in before:
        azure.create(other_type, other_inputs)
    assert azure.check(type_, inputs) == []
    with pytest.raises(CloudError, match=message):
        azure.create(type_, inputs)


def test_the_container_of_a_cosmos_db_role_must_exist(azure: Subscription) -> None:
    """The data plane's path of a container differs from the one in Azure Resource Manager."""
    azure.create_valid(
        "cosmosdb:DatabaseAccount", "cosmosdb:SqlResourceSqlDatabase", "cosmosdb:SqlResourceSqlContainer"
    )
    assignment = "cosmosdb:SqlResourceSqlRoleAssignment"
    valid = VALID_INPUTS[assignment]
    database = f"{valid['scope']}/dbs/experiments"
    with pytest.raises(CloudError, match=r"ResourceNotFound.*/colls/missing"):
        azure.create(assignment, {**valid, "scope": f"{database}/colls/missing"})
    for number, scope in enumerate((database, f"{database}/colls/results")):
        identifier = f"0a1b2c3d-0000-4000-8000-00000000000{number}"
        azure.create(assignment, {**valid, "scope": scope, "roleAssignmentId": identifier})


def test_valid_requests_of_the_same_types_succeed(azure: Subscription) -> None:
    azure.create("network:Subnet", subnet_inputs("near", "10.0.99.0/24"))
    azure.create_valid("containerregistry:Registry", "privatedns:PrivateZone", "storage:StorageAccount")
    azure.create_valid("storage:BlobContainer", "cosmosdb:DatabaseAccount", "cosmosdb:SqlResourceSqlDatabase")
    azure.create_valid("authorization:RoleAssignment", "cosmosdb:SqlResourceSqlContainer")
    azure.create_valid(
        "cosmosdb:SqlResourceSqlRoleAssignment", "operationalinsights:Workspace", "monitor:DiagnosticSetting"
    )
    azure.create("privatedns:VirtualNetworkLink", LINK)
    azure.create("network:PrivateEndpoint", private_endpoint(REGISTRY, "registry"))
    azure.create("privatedns:PrivateZone", ZONE)
    azure.create_valid("dbforpostgresql:Server", "network:FlowLog")
    version = next(iter(azure.state.all("azure-native:keyvault:Key"))).outputs["keyUriWithVersion"]
    azure.create("compute:DiskEncryptionSet", in_group(diskEncryptionSetName="d", activeKey={"keyUrl": version}))
