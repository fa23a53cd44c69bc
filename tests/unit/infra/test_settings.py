"""The settings of a stack, and the message for each kind of invalid setting.

Proves the rules and their messages for the parser only. tests/engine proves that the engine shows the message and stops
before it changes anything.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from infra.core.settings import Cloud, Environment, Settings
from infra.core.stack_config import parse
from rehearsal import project

PRIVATE = {"privateAccessFrom": ["10.0.0.0/24"]}
VALID = {
    "cloud": "azure",
    "environment": "dev",
    "location": "westeurope",
    "organization": "acme",
    "owner": "ml",
    "cluster": PRIVATE,
}


def parse_error(stack: str = "azure-dev", **changed: Any) -> str:
    with pytest.raises(ValueError, match="not valid; nothing has been touched") as caught:
        parse({**VALID, **changed}, stack)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changed", "setting", "rule", "remedy"),
    [
        ({"colud": "azure"}, "groundwork:colud", "is not a setting", "use 'cloud'"),
        (
            {"cluster": {**PRIVATE, "kuberntesVersion": "1.33"}},
            "groundwork:cluster.kuberntesVersion",
            "is not a",
            "'kubernetesV",
        ),
        ({"zzz": 1}, "groundwork:zzz", "is not a setting", "remove it; the settings here are cloud, environment"),
        ({"cloud": "gcp"}, "groundwork:cloud = 'gcp'", "should be 'azure' or 'aws'", "azure or aws"),
        ({"location": "eu-west-1"}, "groundwork:", "not a region of azure", "westeurope"),
        ({"organization": "Acme Inc"}, "groundwork:organization = 'Acme Inc'", "pattern", "2 to 8 lower-case letters"),
        ({"network": {"cidr": "10.0.0.0/33"}}, "groundwork:network.cidr = '10.0.0.0/33'", "CIDR block", "10.20.0.0/16"),
        ({"network": {"cidr": "10.0.0.1/16"}}, "groundwork:network.cidr", "host bits set", "10.20.0.0/16"),
        ({"network": {"cidr": "8.8.0.0/16"}}, "groundwork:network.cidr", "private range", "172.16/12"),
        ({"network": {"cidr": "10.0.0.0/24"}}, "groundwork:network", "between /16 and /20", "10.20.0.0/16"),
        ({"network": {"cidr": "10.244.0.0/16"}}, "groundwork:network", "overlaps podCidr", "each its own block"),
        (
            {"cluster": {**PRIVATE, "userPool": {"minimum": 11}}},
            "groundwork:cluster.userPool",
            "11 is above maximum 10",
            "raise",
        ),
        (
            {"cluster": {**PRIVATE, "userPool": {"minimum": "x"}}},
            "cluster.userPool.minimum = 'x'",
            "valid integer",
            "minimum number of nodes",
        ),
        (
            {"cluster": {**PRIVATE, "kubernetesVersion": "1.20"}},
            "cluster.kubernetesVersion '1.20'",
            "AKS has no such",
            "1.36, ",
        ),
        (
            {"cluster": {**PRIVATE, "kubernetesVersion": "1.33"}},
            "cluster.kubernetesVersion '1.33'",
            "ends on 2026-07-31",
            "1.36, ",
        ),
        (
            {"cluster": {**PRIVATE, "kubernetesVersion": 1.36}},
            "cluster.kubernetesVersion = 1.36",
            "valid string",
            "AKS: 1.35",
        ),
        ({"cluster": {"authorizedRanges": ["0.0.0.0/0"]}}, "authorizedRanges.0", "most of the internet", "private API"),
        ({"cluster": {}}, "groundwork:cluster", "nobody could reach the Kubernetes API", "set authorizedRanges to the"),
        (
            {"cluster": {**PRIVATE, "authorizedRanges": ["203.0.113.0/24"]}},
            "groundwork:cluster",
            "privateAccessFrom is for a private one",
            "remove one",
        ),
        ({"cluster": {"privateAccessFrom": ["203.0.113.0/24"]}}, "privateAccessFrom.0", "private range", "10/8"),
        ({"network": {"hub": "hub"}}, "network.hub 'hub'", "the form that azure gives", "Microsoft.Network/virtualN"),
        (
            {"cluster": {**PRIVATE, "admins": ["ml-team"]}},
            "cluster.admins 'ml-team'",
            "the form that azure",
            "write it",
        ),
        ({"cluster": "big"}, "groundwork:cluster = 'big'", "valid dictionary", "mapping of settings"),
        ({"telemetry": {"retentionDays": 5}}, "telemetry.retentionDays = 5", "greater than or equal to 30", "days"),
        ({"telemetry": {"alertEmail": "nobody"}}, "telemetry.alertEmail = 'nobody'", "pattern", "address that alerts"),
        ({"database": {"storageGb": 100}}, "groundwork:", "storageGb 100 is not a disk size of Azure", "32, 64, 128"),
        (
            {"resilience": {"multiZoneDatabase": True}},
            "groundwork:",
            "database.size Standard_B2s is burstable",
            "Standard_D2ds_v5",
        ),
        (
            {"resilience": {"experimentsBackupDays": 8}},
            "resilience.experimentsBackupDays = 8",
            "should be 7 or 30",
            "7 or 30",
        ),
        ({"subscription": "my-subscription"}, "groundwork:subscription = 'my-subscription'", "pattern", "subscription"),
        ({"tenant": "contoso.com"}, "groundwork:tenant = 'contoso.com'", "pattern", "Entra tenant"),
        ({"account": "123456789012"}, "groundwork:", "account '123456789012' has no meaning on azure", "subscription"),
        ({"cluster": {"login": "interactive"}}, "cluster.login = 'interactive'", "'azurecli', 'workload", "kubelogin"),
        ({"database": {"storageGb": 1}}, "database.storageGb = 1", "greater than or equal to 32", "disk"),
    ],
)
def test_an_invalid_setting_is_reported_with_value_rule_and_remedy(
    changed: dict[str, Any], setting: str, rule: str, remedy: str
) -> None:
    message = parse_error(**changed)
    problem, mended = message.splitlines()[1:3]
    assert setting in problem
    assert rule in problem
    assert mended.strip().startswith("Remedy: ")
    assert remedy in mended
    assert "stacks/Pulumi.azure-dev.yaml" in message


def test_all_invalid_settings_are_reported_together() -> None:
    message = parse_error(cloud="gcp", network={"cidr": "nonsense"}, zzz=1)
    assert message.count("Remedy: ") == 3


def test_missing_settings_are_named() -> None:
    with pytest.raises(ValueError, match="groundwork:cloud is not set") as caught:
        parse({}, "azure-dev")
    assert str(caught.value).count("is not set") == 5


@pytest.mark.parametrize("stack", ["azure-prod", "aws-dev", "sandbox", "Team_1.qa", "9", "a" * 100])
def test_a_stack_of_any_name_has_any_cloud_and_environment(stack: str) -> None:
    assert parse(VALID, stack).environment is Environment.DEV


@pytest.mark.parametrize("stack", ["", "my stack", "qa/eu", "..", "-qa", "a" * 101, "k\u00f6ln", "qa\n"])
def test_a_stack_has_a_name_that_pulumi_allows(stack: str) -> None:
    message = parse_error(stack, owner="")
    assert f"{stack!r} is not a name for a stack" in message
    assert "at most 100 letters, digits, hyphens, underscores and periods" in message
    assert "groundwork:owner" in message


@pytest.mark.parametrize("cloud", Cloud)
@pytest.mark.parametrize("environment", Environment)
def test_every_environment_has_complete_defaults(cloud: Cloud, environment: Environment) -> None:
    location = "westeurope" if cloud is Cloud.AZURE else "eu-west-1"
    raw = {**VALID, "cloud": cloud.value, "environment": environment.value, "location": location}
    settings = parse(raw, f"{cloud}-{environment}")
    assert settings.cluster.user_pool.minimum == 2
    assert settings.cluster.user_pool.maximum == 10
    assert settings.database.backup_days == (35 if environment is Environment.PROD else 7)


PRODUCTION = {
    "deletion_protection": True,
    "retain_data": True,
    "multi_zone_database": True,
    "multi_zone_experiments": True,
    "nat_gateway_per_zone": True,
    "private_endpoint_per_zone": True,
    "control_plane_sla": True,
    "provisioned_throughput": True,
    "replicas": 2,
    "artifact_version_days": 90,
    "experiments_backup_days": 30,
    "secret_recovery_days": 30,
}
ELSEWHERE = {
    **dict.fromkeys((name for name, value in PRODUCTION.items() if value is True), False),
    "replicas": 1,
    "artifact_version_days": 30,
    "experiments_backup_days": 7,
    "secret_recovery_days": 7,
}


@pytest.mark.parametrize(("environment", "facts"), [("dev", ELSEWHERE), ("staging", ELSEWHERE), ("prod", PRODUCTION)])
@pytest.mark.parametrize("cloud", Cloud)
def test_the_environment_decides_how_resilient_a_stack_is(
    cloud: Cloud, environment: str, facts: dict[str, bool | int]
) -> None:
    location = "westeurope" if cloud is Cloud.AZURE else "eu-west-1"
    raw = {**VALID, "cloud": cloud.value, "environment": environment, "location": location}
    # Azure deletes old versions of artifacts after the same time everywhere.
    expected = {**facts, "artifact_version_days": 90} if cloud is Cloud.AZURE else facts
    assert parse(raw, f"{cloud}-{environment}").resilience.model_dump() == expected


def test_a_stack_may_differ_from_its_environment_in_one_fact() -> None:
    resilience = parse({**VALID, "resilience": {"replicas": 3}}, "azure-dev").resilience
    assert (resilience.replicas, resilience.deletion_protection) == (3, False)


def test_settings_of_a_stack_are_merged_with_the_defaults_of_their_section() -> None:
    settings = parse({**VALID, "cluster": {**PRIVATE, "userPool": {"maximum": 4}}}, "azure-dev")
    assert (settings.cluster.user_pool.minimum, settings.cluster.user_pool.maximum) == (2, 4)
    assert settings.cluster.user_pool.size == "Standard_D4s_v5"


def test_settings_are_immutable() -> None:
    settings = Settings.model_validate(VALID)
    with pytest.raises(ValueError, match="frozen"):
        settings.owner = "other"  # type: ignore[misc]


@pytest.mark.parametrize("stack", project.current().stack_names)
def test_every_stack_in_the_project_is_valid(stack: str) -> None:
    config = yaml.safe_load(project.current().stack_file(stack).read_text())["config"]
    parse({key.removeprefix("groundwork:"): value for key, value in config.items()}, stack)
