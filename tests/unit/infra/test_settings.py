"""The settings of a stack: names, defaults of each environment, and the stacks of this project.

test_setting_messages proves which values are valid, and the messages for invalid ones.
"""

from __future__ import annotations

import pytest

from infra.core.settings import Cloud, Environment, Settings
from infra.core.stack_config import SettingsError, check, parse
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


@pytest.mark.parametrize("stack", ["azure-prod", "aws-dev", "sandbox", "Team_1.qa", "9", "a" * 100])
def test_a_stack_of_any_name_can_have_any_cloud_and_environment(stack: str) -> None:
    assert parse(VALID, stack).environment is Environment.DEV


@pytest.mark.parametrize("stack", ["", "my stack", "qa/eu", "..", "-qa", "a" * 101, "k\u00f6ln", "qa\n"])
def test_a_stack_has_a_name_that_pulumi_allows(stack: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({**VALID, "owner": ""}, stack)
    message = str(caught.value)
    assert f"{stack!r} is not a name for a stack" in message
    assert "at most 100 letters, digits, hyphens, underscores and periods" in message
    assert "groundwork:owner" in message


@pytest.mark.parametrize("cloud", Cloud)
@pytest.mark.parametrize("environment", Environment)
def test_every_environment_has_complete_defaults(cloud: Cloud, environment: Environment) -> None:
    location = "westeurope" if cloud is Cloud.AZURE else "eu-west-1"
    raw = {**VALID, "cloud": cloud.value, "environment": environment.value, "location": location}
    settings = parse(raw, f"{cloud}-{environment}")
    assert settings.cluster.user_pool.minimum == (3 if environment is Environment.PROD else 2)
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
    "backup_store": "",
    "second_location": "",
    "standby": "",
}
ELSEWHERE = {
    **dict.fromkeys((name for name, value in PRODUCTION.items() if value is True), False),
    "replicas": 1,
    "artifact_version_days": 30,
    "experiments_backup_days": 7,
    "secret_recovery_days": 7,
    "backup_store": "",
    "second_location": "",
    "standby": "",
}


STAGING = {**ELSEWHERE, "replicas": 2}


@pytest.mark.parametrize(("environment", "defaults"), [("dev", ELSEWHERE), ("staging", STAGING), ("prod", PRODUCTION)])
@pytest.mark.parametrize("cloud", Cloud)
def test_the_environment_decides_how_resilient_a_stack_is(
    cloud: Cloud, environment: str, defaults: dict[str, bool | int]
) -> None:
    location = "westeurope" if cloud is Cloud.AZURE else "eu-west-1"
    raw = {**VALID, "cloud": cloud.value, "environment": environment, "location": location}
    # Azure deletes old versions of artifacts after the same time everywhere.
    expected = {**defaults, "artifact_version_days": 90} if cloud is Cloud.AZURE else defaults
    assert parse(raw, f"{cloud}-{environment}").resilience.model_dump() == expected


def test_a_stack_can_override_one_default_of_its_environment() -> None:
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
    check(project.current().read_stack_file(stack), stack)
