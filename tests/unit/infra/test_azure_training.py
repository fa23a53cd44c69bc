"""The training workspace on Azure: its store, the roles of its jobs, and what they reach.

Proves from inputs who may write the workspace's store, and which rules its managed network has. It does not prove that
Azure creates this network, nor that a job runs in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from infra.azure.identity import Role
from tests.support.recording import RecordedResource, Recorder
from tests.support.sample_foundations import record_foundation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dev() -> Recorder:
    return record_foundation("azure").recorder


def get(recorder: Recorder, type_: str, name: str) -> RecordedResource:
    (found,) = [resource for resource in recorder.of_type(f"azure-native:{type_}") if resource.name == name]
    return found


def list_grants(recorder: Recorder, identity: str) -> list[tuple[str, str]]:
    """The role and the scope of each role assignment of an identity."""
    principal = get(recorder, "managedidentity:UserAssignedIdentity", identity).outputs["principalId"]
    grants = [grant.inputs for grant in recorder.of_type("azure-native:authorization:RoleAssignment")]
    return [
        (grant["roleDefinitionId"].rpartition("/")[2], grant["scope"])
        for grant in grants
        if grant["principalId"] == principal
    ]


def list_rules(recorder: Recorder) -> Mapping[str, Any]:
    network = get(recorder, "machinelearningservices:Workspace", "training").inputs["managedNetwork"]
    return dict(network["outboundRules"])


def test_the_workspace_has_a_store_of_its_own_and_no_role_on_that_of_models(dev: Recorder) -> None:
    store = get(dev, "storage:StorageAccount", "training-jobs")
    workspace = get(dev, "machinelearningservices:Workspace", "training").inputs
    assert workspace["storageAccount"] == store.id
    assert workspace["systemDatastoresAuthMode"] == "identity"
    assert store.inputs["allowSharedKeyAccess"] is False

    grants = list_grants(dev, "training")
    assert (Role.CONTRIBUTOR, store.id) in grants
    models = get(dev, "storage:StorageAccount", "artifacts").id
    assert not [scope for _, scope in grants if scope.startswith(models)]


def test_jobs_may_write_the_store_of_the_workspace(dev: Recorder) -> None:
    compute = get(dev, "machinelearningservices:Compute", "training-low-priority").inputs
    identity = get(dev, "managedidentity:UserAssignedIdentity", "identity-training")
    assert compute["identity"]["userAssignedIdentities"] == [identity.id]
    store = get(dev, "storage:StorageAccount", "training-jobs").id
    assert (Role.BLOB_DATA_CONTRIBUTOR, store) in list_grants(dev, "identity-training")


def test_jobs_reach_the_stores_that_they_use_and_no_host(dev: Recorder) -> None:
    targets = {name: rule["destination"] for name, rule in list_rules(dev).items()}
    assert {name: target["subresourceTarget"] for name, target in targets.items()} == {
        "artifacts": "blob",
        "experiments": "Sql",
    }
    assert targets["artifacts"]["serviceResourceId"] == get(dev, "storage:StorageAccount", "artifacts").id
    assert get(dev, "machinelearningservices:Workspace", "training").inputs["provisionNetworkNow"] is True


def test_jobs_reach_the_hosts_of_the_settings() -> None:
    """The names of rules have at most 33 characters, which a host may exceed."""
    hosts = ["pypi.org", "*.pythonhosted.org", "a-package-index-with-a-long-name.platform.example.com"]
    rules = list_rules(record_foundation("azure", training={"outboundHosts": hosts}).recorder)
    assert {rule["destination"] for rule in rules.values() if rule["type"] == "FQDN"} == {*hosts}
