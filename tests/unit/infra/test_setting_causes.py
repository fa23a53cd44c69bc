"""Which settings are named when a cloud refuses a deployment, including the first one.

Proves it for messages of the clouds and of the simulation, on both clouds. If no value is recognized, the settings of
the part that the resource belongs to are named. Not proven: that a real cloud words its messages like this.
"""

from __future__ import annotations

import pytest

from infra.core.settings import Cloud
from infra.core.settings.catalogue import list_settings
from infra.core.settings.causes import _PARTS
from infra.core.stack_config import explain
from kernel import stack_file
from kernel.stack_file import StackFile

CHOICES = {
    Cloud.AZURE: ("westeurope", "Standard_E4s_v5"),
    Cloud.AWS: ("eu-west-1", "m6i.2xlarge"),
}


def stack(cloud: Cloud) -> StackFile:
    location, size = CHOICES[cloud]
    text = (
        f"config:\n  cloud: {cloud}\n  environment: dev\n  location: {location}\n  organization: acme\n  owner: ml\n"
        f"  cluster:\n    authorizedRanges: [203.0.113.0/24]\n    userPool: {{minimum: 5, size: {size}}}\n"
    )
    return stack_file.parse(text.encode(), "groundwork", "stacks/Pulumi.test.yaml")


def causes(cloud: Cloud, name: str, message: str) -> list[str]:
    lines = explain(stack(cloud), "test", {name: message}).splitlines()
    return [line.removeprefix("  - groundwork:") for line in lines]


AZURE, AWS = Cloud.AZURE, Cloud.AWS


@pytest.mark.parametrize(
    ("cloud", "name", "message", "cause"),
    [
        (
            AZURE,
            "cluster-user",
            "The VM size of Standard_E4s_v5 is not allowed in your subscription in location 'westeurope'.",
            "cluster.userPool.size = 'Standard_E4s_v5' (line 9)",
        ),
        (AWS, "cluster-user", "Minimum capacity 5 can't be greater than desired size 3", "cluster.userPool.minimum = "),
        (AWS, "training", "ResourceLimitExceeded: ml.m5.xlarge for training job usage", "training.size = 'ml.m5"),
        (AZURE, "cluster", "K8sVersionNotSupported: 1.36 is not supported", "cluster.kubernetesVersion = '1.36' (its"),
        (AZURE, "network-nodes", "NetcfgInvalidSubnet: 10.20.16.0/20 is not valid", "network.cidr = '10.20.0.0/16'"),
        (AWS, "cluster", "The specified CIDR 172.20.0.0/16 is reserved", "network.serviceCidr = '172.20.0.0/16'"),
        (AZURE, "cluster", "authorizedIPRanges: 203.0.113.0/24 is not allowed", "cluster.authorizedRanges = ["),
        (AZURE, "secrets", "VaultAlreadyExists: The vault name is already in use", "organization = 'acme' (line 5)"),
        (AWS, "artifacts", "BucketAlreadyExists: The requested bucket name is not available", "organization = 'acme'"),
        (AZURE, "lifecycle-gitops-token", "timed out waiting for it", "lifecycle.gitToken = 'git-token' (its"),
        (AWS, "argocd-gitops-repository", "timed out waiting for it", "gitops.tokenSecret = '' (its default)"),
        (AWS, "x", "no secret (from the setting groundwork:lifecycle.gitToken)", "lifecycle.gitToken = 'git-token'"),
        (AZURE, "network", "LocationNotAvailableForResourceType: westeurope", "location = 'westeurope' (line 4)"),
    ],
)  # fmt: skip
def test_the_setting_whose_value_is_refused_is_named(cloud: Cloud, name: str, message: str, cause: str) -> None:
    (line,) = causes(cloud, name, message)
    assert line.startswith(cause)


@pytest.mark.parametrize("cloud", Cloud)
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("cluster-system", "cluster.systemPool.size"),
        ("cluster-user", "cluster.userPool.size"),
        ("cluster-gpu", "cluster.gpuPool.size"),
        ("database", "database.size"),
        ("training", "training.size"),
    ],
)
def test_a_refusal_without_a_value_names_size_and_location_of_the_part(cloud: Cloud, name: str, first: str) -> None:
    lines = causes(cloud, name, "QuotaExceeded: the operation exceeds the approved quota")
    assert lines[0].startswith(f"{first} = ")
    assert any(line.startswith("location = ") for line in lines)


@pytest.mark.parametrize("cloud", Cloud)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reports", "InvalidBucketName: the bucket is acme-gw-reports in eu-west-11, with 64 or 2 parts"),
        ("letters", "AccessDenied: environment dev of ml"),
    ],
)
def test_a_refusal_that_no_setting_causes_names_no_setting(cloud: Cloud, name: str, message: str) -> None:
    assert causes(cloud, name, message) == []


def test_the_causes_of_each_part_are_existing_settings() -> None:
    assert {path for paths in _PARTS.values() for path in paths} <= set(list_settings())
