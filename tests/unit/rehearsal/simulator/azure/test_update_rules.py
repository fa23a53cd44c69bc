"""Refused updates and deletions, identities, and what Azure Machine Learning requires of storage and networks.

Not proven: that Azure has these rules and messages. No test calls Azure.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from rehearsal.simulator.core.errors import CloudError
from rehearsal.wiring.declared import Declared, Graph
from rehearsal.wiring.ignored_updates import find_problems
from tests.support.azure_subscription import (
    ENDPOINTS,
    SERVER,
    VALID_INPUTS,
    VAULT,
    ZONE,
    Subscription,
    identity_id,
    in_group,
    private_endpoint,
    with_change,
)


def test_a_refused_transition_changes_nothing_and_is_refused_in_the_preview_too(azure: Subscription) -> None:
    azure.create("privatedns:PrivateZone", ZONE)
    server, outputs = azure.create("dbforpostgresql:Server", SERVER)
    assert outputs["fullyQualifiedDomainName"] == "pg-one.postgres.database.azure.com"
    for preview in (True, False):
        with pytest.raises(CloudError, match="cannot be reduced"):
            azure.update(
                "dbforpostgresql:Server", server, with_change(SERVER, "storage.storageSizeGB", 32), preview=preview
            )
    record = azure.state.find(server)
    assert record is not None
    assert record.inputs["storage"]["storageSizeGB"] == 64


def test_an_update_leaves_a_key_as_it_was_created(azure: Subscription) -> None:
    """Azure accepts it, and a wiring rule reports what the cloud has not changed."""
    key, outputs = azure.create("keyvault:Key", in_group(vaultName="kv-one", keyName="k", properties={"kty": "RSA"}))
    created = azure.state.find(key)
    assert created is not None
    edited = {**created.inputs, "tags": {"owner": "other"}}
    assert azure.update("keyvault:Key", key, edited) == outputs
    assert azure.state.find(key) == created
    declared = Declared(created.urn, created.type, created.inputs)
    assert list(find_problems(Graph([declared]), azure.state)) == []
    (problem,) = find_problems(Graph([replace(declared, inputs=edited)]), azure.state)
    assert "the cloud has not changed its tags: it never updates this type" in problem.message


def test_a_subnet_in_use_cannot_be_deleted(azure: Subscription) -> None:
    azure.create("network:PrivateEndpoint", private_endpoint(VAULT, "vault"))
    with pytest.raises(CloudError, match="in use by"):
        azure.simulation.delete("urn::x", "azure-native:network:Subnet", ENDPOINTS)


def test_federated_credentials_of_an_identity_must_differ(azure: Subscription) -> None:
    azure.create_valid("managedidentity:UserAssignedIdentity", "managedidentity:FederatedIdentityCredential")
    first = VALID_INPUTS["managedidentity:FederatedIdentityCredential"]
    with pytest.raises(CloudError, match="must be unique"):
        azure.create(
            "managedidentity:FederatedIdentityCredential",
            {**first, "federatedIdentityCredentialResourceName": "again"},
        )


def test_ids_are_case_insensitive_and_outputs_have_the_ids_of_attached_identities(azure: Subscription) -> None:
    azure.create_valid("managedidentity:UserAssignedIdentity")
    other_case = identity_id("someone").replace("resourceGroups", "resourcegroups")
    identity = {"type": "UserAssigned", "userAssignedIdentities": [other_case]}
    _, outputs = azure.create(
        "storage:StorageAccount", {**VALID_INPUTS["storage:StorageAccount"], "identity": identity}
    )
    attached = outputs["identity"]["userAssignedIdentities"][other_case]
    assert attached["principalId"]
    assert attached["principalId"] != attached["clientId"]


def test_a_workspace_refuses_hierarchical_storage(azure: Subscription) -> None:
    azure.create_valid("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.create_valid("applicationinsights:Component")
    azure.create("storage:StorageAccount", {**VALID_INPUTS["storage:StorageAccount"], "isHnsEnabled": True})
    with pytest.raises(CloudError, match="HNS"):
        azure.create_valid("machinelearningservices:Workspace")


@pytest.mark.parametrize("isolation", ["AllowOnlyApprovedOutbound", "Disabled"])
def test_compute_without_public_ip_needs_a_managed_network(azure: Subscription, isolation: str) -> None:
    azure.create_valid("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.create_valid("applicationinsights:Component", "storage:StorageAccount")
    workspace = with_change(
        VALID_INPUTS["machinelearningservices:Workspace"], "managedNetwork.isolationMode", isolation
    )
    azure.create("machinelearningservices:Workspace", workspace)
    if isolation == "Disabled":
        with pytest.raises(CloudError, match="without public IP"):
            azure.create_valid("machinelearningservices:Compute")
    else:
        azure.create_valid("machinelearningservices:Compute")
