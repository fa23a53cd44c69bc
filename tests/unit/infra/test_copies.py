"""The copies of a stack's data in a second region, declared against the simulated clouds.

Proves that each store has a copy there under a key of that region, that nothing is there without the setting, and that
the copies comply with the policies. Not proven: that the clouds copy within the time that they promise.
"""

from __future__ import annotations

import json

import pytest

from policies import controls
from policies.engine.stack import Resource
from tests.support.aws_account import BUCKET
from tests.support.recording import Recorder
from tests.support.sample_foundations import record_foundation

pytestmark = pytest.mark.slow

REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
BACKUPS = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
SECOND = {"aws": "eu-central-1", "azure": "northeurope"}


def declare(cloud: str, *, is_copied: bool = True) -> Recorder:
    resilience = {"secondLocation": SECOND[cloud]} if is_copied else {}
    return record_foundation(cloud, "prod", resilience=resilience).recorder


@pytest.fixture(scope="module")
def on_aws() -> Recorder:
    return declare("aws")


@pytest.fixture(scope="module")
def on_azure() -> Recorder:
    return declare("azure")


def test_on_aws_each_store_is_copied_under_a_key_of_that_region(on_aws: Recorder) -> None:
    region = SECOND["aws"]
    (key,) = (each for each in on_aws.of_type("aws:kms/key:Key") if each.inputs.get("region") == region)
    arn = key.outputs["arn"]
    backups = on_aws.single(BACKUPS).inputs
    assert (backups["region"], backups["kmsKeyId"], backups["retentionPeriod"]) == (region, arn, 35)
    for secret in on_aws.of_type("aws:secretsmanager/secret:Secret"):
        assert secret.inputs["replicas"] == [{"region": region, "kmsKeyId": arn}]
    (rule,) = on_aws.single(REPLICATION).inputs["rules"]
    assert rule["destination"]["encryptionConfiguration"]["replicaKmsKeyId"] == arn
    assert rule["filter"] == {"prefix": "mlflow/"}
    (copy,) = (each for each in on_aws.of_type(BUCKET) if each.inputs.get("region") == region)
    assert rule["destination"]["bucket"] == f"arn:aws:s3:::{copy.inputs['bucket']}"
    settings = [each for each in on_aws.resources if each.inputs.get("bucket") == copy.inputs["bucket"]]
    assert {each.inputs["region"] for each in settings} == {region}, "the settings of a bucket are in its region"


def test_on_aws_the_copying_role_may_only_copy(on_aws: Recorder) -> None:
    (policy,) = (each for each in on_aws.of_type("aws:iam/rolePolicy:RolePolicy") if each.name == "artifacts-copy")
    actions = [action for each in json.loads(policy.inputs["policy"])["Statement"] for action in each["Action"]]
    assert "s3:ReplicateObject" in actions
    assert not any("Delete" in action or "*" in action for action in actions)


def test_on_azure_each_store_is_copied_under_a_key_of_that_region(on_azure: Recorder) -> None:
    skus = {each.name: each.inputs["sku"]["name"] for each in on_azure.of_type("azure-native:storage:StorageAccount")}
    assert skus["artifacts"] == "Standard_RAGZRS"
    assert {sku for name, sku in skus.items() if name != "artifacts"} == {"Standard_ZRS"}
    server = on_azure.single("azure-native:dbforpostgresql:Server").inputs
    assert server["backup"]["geoRedundantBackup"] == "Enabled"
    (vault,) = (
        each
        for each in on_azure.of_type("azure-native:keyvault:Vault")
        if each.inputs.get("location") == SECOND["azure"]
    )
    assert vault.inputs["vaultName"] in server["dataEncryption"]["geoBackupKeyURI"]
    identity = server["dataEncryption"]["geoBackupUserAssignedIdentityId"]
    assert identity in server["identity"]["userAssignedIdentities"]
    audited = {each.inputs["resourceUri"] for each in on_azure.of_type("azure-native:monitor:DiagnosticSetting")}
    assert vault.outputs.get("id", vault.inputs["vaultName"]) in audited or any(
        str(uri).endswith(vault.inputs["vaultName"]) for uri in audited
    )


def test_without_the_setting_nothing_is_in_another_region() -> None:
    without = declare("aws", is_copied=False)
    assert without.of_type(BACKUPS) == []
    assert without.of_type(REPLICATION) == []
    assert {each.inputs["region"] for each in without.resources if "region" in each.inputs} <= {"eu-west-1", None}
    server = declare("azure", is_copied=False).single("azure-native:dbforpostgresql:Server").inputs
    assert server["backup"]["geoRedundantBackup"] == "Disabled"


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_the_copies_add_no_violation(cloud: str, request: pytest.FixtureRequest) -> None:
    """This runs without an engine, which would resolve references between resources by more than their names."""
    copied: Recorder = request.getfixturevalue(f"on_{cloud}")
    assert list_violations(copied) - list_violations(declare(cloud, is_copied=False)) == set()


def list_violations(recorder: Recorder) -> set[tuple[str, str]]:
    """Control and problem of each. Controls of companions report every resource, since references are not known."""
    stack = [
        Resource(each.type, each.name, f"urn::{each.type}::{each.name}", each.outputs) for each in recorder.resources
    ]
    violations = set()
    for control in controls():
        if control.over_stack:
            of_stack = control.evaluate_stack(stack)
            violations |= {(control.id, str(finding)) for _, finding in of_stack}
            continue
        for resource in stack:
            if control.applies_to(resource.type):
                findings = control.evaluate_resource(resource.type, resource.props)
                violations |= {(control.id, str(each)) for each in findings}
    return violations
