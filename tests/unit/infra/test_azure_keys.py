"""The keys of a stack on Azure, and the services that use them.

Proves which services follow a key's rotation, which have a key of their own, and that a second deployment with other
tags leaves no difference between a key and the cloud. Not proven: that Azure's services behave like the simulated ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from infra.azure import create_foundation
from rehearsal.wiring import ignored_updates
from rehearsal.wiring.declared import Declared, Graph
from tests.support.recording import RecordedResource, Recorder, record_program, stack_context

pytestmark = pytest.mark.slow


def deploy(recorder: Recorder, team: str) -> None:
    context = stack_context("azure", tags={"team": team})
    record_program(lambda: create_foundation(context), recorder=recorder)


@pytest.fixture(scope="module")
def stack() -> Recorder:
    recorder = Recorder()
    deploy(recorder, "one")
    return recorder


def find_key(stack: Recorder, name: str) -> RecordedResource:
    (key,) = [found for found in stack.of_type("azure-native:keyvault:Key") if found.name == name]
    return key


def read_inputs(stack: Recorder, type_: str) -> Mapping[str, Any]:
    return stack.single(f"azure-native:{type_}").inputs


def test_services_follow_the_rotation_of_the_platforms_key(stack: Recorder) -> None:
    key = find_key(stack, "secrets-key").outputs
    accounts = stack.of_type("azure-native:storage:StorageAccount")
    (vault,) = [found for found in stack.of_type("azure-native:keyvault:Vault") if found.name == "secrets"]
    named = {"keyVaultUri": vault.outputs["properties"]["vaultUri"], "keyName": key["name"]}
    assert accounts
    assert all(account.inputs["encryption"]["keyVaultProperties"] == named for account in accounts)
    registry = read_inputs(stack, "containerregistry:Registry")["encryption"]
    assert registry["keyVaultProperties"]["keyIdentifier"] == key["keyUri"]
    assert read_inputs(stack, "cosmosdb:DatabaseAccount")["keyVaultKeyUri"] == key["keyUri"]
    assert read_inputs(stack, "dbforpostgresql:Server")["dataEncryption"]["primaryKeyURI"] == key["keyUri"]
    disks = read_inputs(stack, "compute:DiskEncryptionSet")
    assert disks["activeKey"]["keyUrl"] == key["keyUriWithVersion"]
    assert disks["rotationToLatestKeyVersionEnabled"] is True


def test_services_that_need_a_version_have_keys_that_neither_rotate_nor_expire(stack: Recorder) -> None:
    pinned = {purpose: find_key(stack, f"secrets-pinned-{purpose}") for purpose in ("kubernetes", "training")}
    versions = {purpose: key.outputs["keyUriWithVersion"] for purpose, key in pinned.items()}
    cluster = read_inputs(stack, "containerservice:ManagedCluster")
    assert cluster["securityProfile"]["azureKeyVaultKms"]["keyId"] == versions["kubernetes"]
    workspace = read_inputs(stack, "machinelearningservices:Workspace")
    assert workspace["encryption"]["keyVaultProperties"]["keyIdentifier"] == versions["training"]
    assert [key.inputs["properties"] for key in pinned.values()] == [{"kty": "RSA", "keySize": 3072}] * 2


def test_other_tags_leave_no_difference_between_a_key_and_the_cloud(stack: Recorder) -> None:
    """Azure never changes an existing key, so the second deployment must not try."""
    deploy(stack, "two")
    graph = Graph(
        Declared(f"urn:pulumi:test::groundwork::{found.type}::{found.name}", found.type, found.inputs)
        for found in stack.resources
    )
    assert [problem.message for problem in ignored_updates.find_problems(graph, stack.state)] == []
