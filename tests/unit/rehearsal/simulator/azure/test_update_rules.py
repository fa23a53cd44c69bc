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
    APPROVER,
    ENDPOINTS,
    GROUP,
    READER,
    SERVER,
    VALID_INPUTS,
    VAULT,
    ZONE,
    Subscription,
    assign_role,
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


WORKSPACE, COMPUTE = "machinelearningservices:Workspace", "machinelearningservices:Compute"
STORE_OF_RULE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/store2"
UNAPPROVED = r"may not approve its private endpoint connection to \S+/workspaces/workspace\."


@pytest.fixture(name="training")
def training_fixture(azure: Subscription) -> Subscription:
    """A subscription with what a workspace needs, except for roles."""
    azure.create_valid("managedidentity:UserAssignedIdentity", "operationalinsights:Workspace")
    azure.create_valid("applicationinsights:Component", "storage:StorageAccount")
    return azure


@pytest.mark.parametrize("isolation", ["AllowOnlyApprovedOutbound", "Disabled"])
def test_compute_without_public_ip_needs_a_managed_network(training: Subscription, isolation: str) -> None:
    assign_role(training, APPROVER, GROUP, "someone")
    training.create(WORKSPACE, with_change(VALID_INPUTS[WORKSPACE], "managedNetwork.isolationMode", isolation))
    if isolation == "Disabled":
        with pytest.raises(CloudError, match="without public IP"):
            training.create_valid(COMPUTE)
    else:
        training.create_valid(COMPUTE)


def test_a_managed_network_needs_an_identity_that_approves_each_of_its_endpoints(training: Subscription) -> None:
    """When it is created with the workspace, before the workspace itself can be the scope of a role."""
    rule = {"type": "PrivateEndpoint", "destination": {"serviceResourceId": STORE_OF_RULE, "subresourceTarget": "blob"}}
    training.create("storage:StorageAccount", {**VALID_INPUTS["storage:StorageAccount"], "accountName": "store2"})
    workspace = with_change(VALID_INPUTS[WORKSPACE], "managedNetwork.outboundRules", {"other": rule})
    workspace["provisionNetworkNow"] = True

    with pytest.raises(CloudError, match=UNAPPROVED):
        training.create(WORKSPACE, workspace)
    assign_role(training, READER, GROUP, "someone")
    with pytest.raises(CloudError, match=UNAPPROVED):
        training.create(WORKSPACE, workspace)
    assign_role(training, APPROVER, GROUP, "someone")
    training.create(WORKSPACE, workspace)


def test_the_target_of_a_rule_has_to_be_approved_too(training: Subscription) -> None:
    rule = {"type": "PrivateEndpoint", "destination": {"serviceResourceId": STORE_OF_RULE, "subresourceTarget": "blob"}}
    training.create("storage:StorageAccount", {**VALID_INPUTS["storage:StorageAccount"], "accountName": "store2"})
    workspace = with_change(VALID_INPUTS[WORKSPACE], "managedNetwork.outboundRules", {"other": rule})
    id_, _ = training.create(WORKSPACE, workspace)
    for target in (id_, VALID_INPUTS[WORKSPACE]["storageAccount"], VAULT):
        assign_role(training, APPROVER, target, "someone")
    with pytest.raises(CloudError, match=r"private endpoint connection to \S+/store2\."):
        training.create_valid(COMPUTE)


def test_the_first_compute_creates_a_managed_network_that_does_not_exist_yet(training: Subscription) -> None:
    id_, _ = training.create(WORKSPACE, VALID_INPUTS[WORKSPACE])
    for target in (VALID_INPUTS[WORKSPACE]["storageAccount"], VAULT):
        assign_role(training, APPROVER, target, "someone")
    with pytest.raises(CloudError, match=UNAPPROVED):
        training.create_valid(COMPUTE)
    assign_role(training, APPROVER, id_, "someone")
    training.create_valid(COMPUTE)


def test_azure_lets_a_system_assigned_identity_approve(training: Subscription) -> None:
    workspace = with_change(VALID_INPUTS[WORKSPACE], "primaryUserAssignedIdentity", None)
    training.create(WORKSPACE, {**workspace, "identity": {"type": "SystemAssigned"}, "provisionNetworkNow": True})
    training.create_valid(COMPUTE)
