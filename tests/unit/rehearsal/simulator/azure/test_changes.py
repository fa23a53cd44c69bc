"""What Azure keeps as it is once it exists, and what must suit what is there already.

Proves rules on updates, on deletions, and on the companions of machine learning workspaces. That Azure has them, or
says them in these words, is not proven: no test asks Azure.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.core.errors import CloudError
from tests.support.azure_subscription import (
    ENDPOINTS,
    GOOD,
    SERVER,
    VAULT,
    ZONE,
    Azure,
    changed,
    endpoint,
    identity_id,
    subnet,
)


def test_disks_do_not_shrink_and_vaults_keep_their_retention(azure: Azure) -> None:
    azure.create("privatedns:PrivateZone", ZONE)
    server, outputs = azure.create("dbforpostgresql:Server", SERVER)
    assert outputs["fullyQualifiedDomainName"] == "pg-one.postgres.database.azure.com"
    with pytest.raises(CloudError, match="cannot be reduced"):
        azure.update("dbforpostgresql:Server", server, changed(SERVER, "storage.storageSizeGB", 32))
    shorter = changed(GOOD["keyvault:Vault"], "properties.softDeleteRetentionInDays", 7)
    with pytest.raises(CloudError, match="can't be modified"):
        azure.update("keyvault:Vault", VAULT, shorter)


def test_a_subnet_in_use_stays_where_it_is(azure: Azure) -> None:
    azure.create("network:PrivateEndpoint", endpoint(VAULT, "vault"))
    with pytest.raises(CloudError, match="cannot be updated"):
        azure.update("network:Subnet", ENDPOINTS, subnet("endpoints", "10.0.70.0/24"))
    with pytest.raises(CloudError, match="in use by"):
        azure.simulation.delete("urn::x", "azure-native:network:Subnet", ENDPOINTS)


def test_two_credentials_of_one_identity_say_different_things(azure: Azure) -> None:
    azure.good("managedidentity:UserAssignedIdentity", "managedidentity:FederatedIdentityCredential")
    first = GOOD["managedidentity:FederatedIdentityCredential"]
    with pytest.raises(CloudError, match="must be unique"):
        azure.create(
            "managedidentity:FederatedIdentityCredential",
            {**first, "federatedIdentityCredentialResourceName": "again"},
        )


def test_ids_compare_without_case_and_attached_identities_are_named(azure: Azure) -> None:
    azure.good("managedidentity:UserAssignedIdentity")
    spelt_otherwise = identity_id("someone").replace("resourceGroups", "resourcegroups")
    identity = {"type": "UserAssigned", "userAssignedIdentities": [spelt_otherwise]}
    _, outputs = azure.create("storage:StorageAccount", {**GOOD["storage:StorageAccount"], "identity": identity})
    attached = outputs["identity"]["userAssignedIdentities"][spelt_otherwise]
    assert attached["principalId"]
    assert attached["principalId"] != attached["clientId"]


def test_companions_of_a_workspace_must_suit_it(azure: Azure) -> None:
    azure.good("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.good("applicationinsights:Component")
    azure.create("storage:StorageAccount", {**GOOD["storage:StorageAccount"], "isHnsEnabled": True})
    with pytest.raises(CloudError, match="HNS"):
        azure.good("machinelearningservices:Workspace")


@pytest.mark.parametrize("isolation", ["AllowOnlyApprovedOutbound", "Disabled"])
def test_private_machines_need_a_network_of_their_own(azure: Azure, isolation: str) -> None:
    azure.good("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.good("applicationinsights:Component", "storage:StorageAccount")
    workspace = changed(GOOD["machinelearningservices:Workspace"], "managedNetwork.isolationMode", isolation)
    azure.create("machinelearningservices:Workspace", workspace)
    if isolation == "Disabled":
        with pytest.raises(CloudError, match="without public IP"):
            azure.good("machinelearningservices:Compute")
    else:
        azure.good("machinelearningservices:Compute")
