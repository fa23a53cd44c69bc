"""Values that are on no list of the simulated clouds: they pass, with a note in the summary instead of an error.

Proves for each list that its values need no note, and that any other value passes and is named, with a similar value
from the list. Not proven: that the lists are right.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.clouds import list_notes
from tests.support.aws_account import ADDON, ATTACHMENT, CLUSTER, EKS, ENDPOINT, SUBNET, Account
from tests.support.azure_subscription import VALID_INPUTS, VAULT, Subscription, private_endpoint, with_change

ARN = "arn:aws:iam::aws:policy/"
SERVER = "dbforpostgresql:Server"
GUID = "0f1a2b3c-0000-4000-8000-000000000000"
AWS = [
    (
        ADDON,
        {"clusterName": "a"},
        "addonName",
        "corends",
        "the add-on 'corends', did you mean 'coredns'?",
    ),
    (
        ATTACHMENT,
        {"role": "a"},
        "policyArn",
        f"{ARN}AmazonEKSClustersPolicy",
        "whether AWS has the managed policy 'AmazonEKSClustersPolicy', did you mean 'AmazonEKSClusterPolicy'?",
    ),
    (
        ENDPOINT,
        {"vpcId": "v", "vpcEndpointType": "Interface"},
        "serviceName",
        "com.amazonaws.eu-west-1.athena",
        "whether AWS has the endpoint service 'athena'",
    ),
    (SUBNET, {"vpcId": "v", "cidrBlock": "10.0.0.0/24"}, "availabilityZone", "eu-west-1d", "the zone 'eu-west-1d'"),
    (CLUSTER, EKS, "version", "1.99", "whether EKS offers Kubernetes 1.99"),
]
AZURE = [
    ("authorization:RoleAssignment", "roleDefinitionId", f"/x/{GUID}", "whether Azure has the role definition"),
    ("monitor:ActionGroup", "location", "westeurope", "whether action groups exist in the location 'westeurope'"),
    (
        "monitor:DiagnosticSetting",
        "logs.0.category",
        "AuditEvents",
        "whether vaults have logs of the category 'AuditEvents', did you mean 'AuditEvent'?",
    ),
    (
        "monitor:MetricAlert",
        "criteria.allOf.0.metricName",
        "Availibility",
        "whether vaults have the metric 'Availibility', did you mean 'Availability'?",
    ),
    ("storage:StorageAccount", "sku.name", "StandardV2_LRS", "the SKU 'StandardV2_LRS', did you mean 'Standard_LRS'?"),
    ("dbforpostgresql:Configuration", "configurationName", "log_connections", "the parameter 'log_connections'"),
    ("containerservice:ManagedCluster", "kubernetesVersion", "1.99", "whether AKS offers Kubernetes 1.99"),
    (
        "cosmosdb:SqlResourceSqlRoleAssignment",
        "roleDefinitionId",
        f"/x/sqlRoleDefinitions/{GUID}",
        "whether the account has the role definition",
    ),
]


def find_notes(type_: str, inputs: dict[str, Any]) -> list[str]:
    return list_notes([{"type": type_, "urn": f"urn:pulumi:s::p::{type_}::thing", "inputs": inputs}])


@pytest.mark.parametrize(("type_", "inputs", "path", "value", "note"), AWS)
def test_aws_accepts_an_unlisted_value_with_a_note(
    account: Account, type_: str, inputs: dict[str, Any], path: str, value: str, note: str
) -> None:
    assert account.check(type_, {**inputs, path: value}) == ""
    (line,) = find_notes(type_, {**inputs, path: value})
    assert line.startswith("thing: ")
    assert note in line
    assert find_notes(type_, {**inputs, path: UNKNOWN}) == []


@pytest.mark.parametrize(("type_", "path", "value", "note"), AZURE)
def test_azure_accepts_an_unlisted_value_with_a_note(type_: str, path: str, value: str, note: str) -> None:
    inputs = with_change(VALID_INPUTS[type_], path, value)
    assert Subscription().check(type_, inputs) == []
    (line,) = find_notes(f"azure-native:{type_}", inputs)
    assert note in line


@pytest.mark.parametrize("type_", VALID_INPUTS)
def test_a_listed_value_needs_no_note(type_: str) -> None:
    assert find_notes(f"azure-native:{type_}", VALID_INPUTS[type_]) == []


@pytest.mark.parametrize(
    ("location", "mode", "is_noted"),
    [("westeurope", "ZoneRedundant", True), ("westeurope", "SameZone", False), ("uksouth", "ZoneRedundant", False)],
)
def test_a_standby_where_azure_has_blocked_new_ones_is_noted_with_the_day(
    location: str, mode: str, *, is_noted: bool
) -> None:
    server = {**VALID_INPUTS[SERVER], "location": location, "highAvailability": {"mode": mode}}
    notes = find_notes(f"azure-native:{SERVER}", server)
    assert [note.partition(",")[0] for note in notes] == is_noted * [
        "thing: whether westeurope has new zone-redundant servers of Azure Database for PostgreSQL"
    ]
    assert all("did not have on 2025-12-22" in note for note in notes)


def test_a_group_of_a_private_endpoint_is_looked_up_by_the_type_of_its_target() -> None:
    assert find_notes("azure-native:network:PrivateEndpoint", private_endpoint(VAULT, "vault")) == []
    (line,) = find_notes("azure-native:network:PrivateEndpoint", private_endpoint(VAULT, "vaults"))
    assert line == "thing: whether Microsoft.KeyVault/vaults has the group ID 'vaults', did you mean 'vault'?"
