"""What changing each setting does to a deployed stack, and what is reported before anything starts.

Proves that each setting has an entry for both clouds, and the messages. That providers and clouds do what the table
says is in their documentation, which it cites; no test can prove that.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from typing import Any

import pytest

from infra.core.settings import Cloud
from infra.core.settings.catalogue import find_example, list_settings
from infra.core.settings.changes import CHANGES
from infra.core.settings.transitions import MEANINGS, Effect
from infra.core.stack_config import check, compare
from kernel import stack_file
from kernel.stack_file import StackFile
from tests.support.every_case import check_every

FILES = {
    Cloud.AZURE: """\
config:
  cloud: azure
  environment: prod
  location: westeurope
  organization: acme
  owner: ml
  cluster:
    authorizedRanges: [203.0.113.0/24]
    kubernetesVersion: "1.35"
""",
    Cloud.AWS: """\
config:
  cloud: aws
  environment: dev
  location: eu-west-1
  organization: acme
  owner: ml
  cluster:
    authorizedRanges: [203.0.113.0/24]
    kubernetesVersion: "1.35"
""",
}


def parse(text: str) -> StackFile:
    return stack_file.parse(text.encode(), "groundwork", "stacks/Pulumi.test.yaml")


def compare_with(old: str, new: str, cloud: Cloud = Cloud.AZURE, confirmed: Collection[str] = ()) -> str:
    """Compare a file in which some text is replaced with the original, as the deployed settings."""
    before = FILES[cloud]
    assert old in before
    deployed = check(parse(before), "test").dump()
    return compare(parse(before.replace(old, new)), "test", deployed, confirmed)


def refusal(old: str, new: str, cloud: Cloud = Cloud.AZURE, confirmed: Collection[str] = ()) -> str:
    with pytest.raises(ValueError, match="nothing has been changed") as caught:
        compare_with(old, new, cloud, confirmed)
    return str(caught.value)


def test_the_effect_of_changing_each_setting_is_documented_on_both_clouds() -> None:
    assert list(CHANGES) == list(list_settings())
    assert all(set(transitions) == set(Cloud) for transitions in CHANGES.values())
    assert set(MEANINGS) == set(Effect)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("artifactVersionDays", "set it to resilience.artifactVersionDays, if that is what you mean."),
        ("resilience.artifact-version-days", "set it to resilience.artifactVersionDays, if that is what you mean."),
        ("everything", "set it to settings of docs/settings.md."),
    ],
)
def test_a_confirmation_of_something_that_is_not_a_setting_is_refused(name: str, remedy: str) -> None:
    assert f"CONFIRM={name} does not name a setting; nothing has been changed. Remedy: {remedy}" in refusal(
        "owner: ml", "owner: ds", confirmed=[name]
    )


@pytest.mark.parametrize("cloud", Cloud)
def test_the_same_settings_change_nothing(cloud: Cloud) -> None:
    assert compare_with("owner: ml", "owner: 'ml'", cloud) == ""


def test_each_change_can_be_evaluated() -> None:
    """Rules for old and new values accept any value that a setting can have."""
    check_every(product(list_settings(), Cloud), _evaluate_change)


def _evaluate_change(case: tuple[str, Cloud]) -> None:
    setting, cloud = case
    example = find_example(setting, cloud)
    old = {bool: False, int: 1, list: [], dict: {}, str: "1.30" if "Version" in setting else ""}[type(example)]
    for transition in ((old, example), (example, old)):
        assert CHANGES[setting][cloud].find(*transition).effect in Effect


@pytest.mark.parametrize(
    ("cloud", "old", "new", "line"),
    [
        (Cloud.AZURE, "owner: ml", "owner: ops", "that their principals stay the same; the update replaces nothing."),
        (Cloud.AWS, "owner: ml", "owner: ops", "'ops': rolls nodes: a tag of every resource, including nodes."),
        (Cloud.AZURE, '"1.35"', '"1.36"', "'1.35' -> '1.36': rolls nodes: the control plane first, then all nodes."),
        (Cloud.AZURE, "203.0.113.0/24", "198.51.100.0/24", '["198.51.100.0/24"]: free.'),
        (Cloud.AWS, "owner: ml", "owner: ml\n  database: {storageGb: 128}", "database.storageGb 64 -> 128: free."),
        (Cloud.AWS, "owner: ml", "owner: ml\n  account: '111122223333'", "account '' -> '111122223333': free."),
        (Cloud.AWS, "owner: ml", "owner: ml\n  network: {podCidr: 10.245.0.0/16}", "-> '10.245.0.0/16': no effect."),
        (Cloud.AWS, '"1.35"', '"1.35"\n    userPool: {maximum: 12}', "userPool.maximum 10 -> 12: free."),
        (Cloud.AZURE, '"1.35"', '"1.35"\n    userPool: {maximum: 5}', "userPool.maximum 10 -> 5: free."),
        (
            Cloud.AWS,
            '"1.35"',
            '"1.35"\n    userPool: {maximum: 5}',
            "userPool.maximum 10 -> 5: interrupts: nodes in excess of it are removed; their pods have 15 "
            "minutes to move to other nodes.",
        ),
        (
            Cloud.AWS,
            '"1.35"',
            '"1.35"\n    systemPool: {size: m6i.2xlarge}',
            "'m6i.xlarge' -> 'm6i.2xlarge': rolls nodes: a new node group is created before the old one is deleted.",
        ),
    ],
)
def test_allowed_changes_are_listed_with_their_effect(cloud: Cloud, old: str, new: str, line: str) -> None:
    report = compare_with(old, new, cloud)
    assert report.startswith("  - groundwork:")
    assert report.endswith(line)
    assert len(report.splitlines()) == 1


@pytest.mark.parametrize(
    ("cloud", "old", "new", "problem"),
    [
        (Cloud.AZURE, "westeurope", "northeurope", "location 'westeurope' -> 'northeurope' (line 4): fixed: every"),
        (Cloud.AWS, "acme", "newco", "organization 'acme' -> 'newco' (line 5): fixed: it is part of all names"),
        (
            Cloud.AZURE,
            "owner: ml",
            "owner: ml\n  network: {cidr: 10.30.0.0/16}",
            "network.cidr '10.20.0.0/16' -> '10.30.0.0/16' (line 7): fixed: a network that is in use cannot move.",
        ),
        (Cloud.AZURE, '"1.35"', '"1.37"', "fixed: a cluster is upgraded one minor version at a time."),
        (Cloud.AZURE, "owner: ml", "owner: ml\n  database: {storageGb: 32}", "the disk of a database only grows."),
        (Cloud.AWS, "owner: ml", "owner: ml\n  database: {storageGb: 66}", "a disk grows by 10% or more."),
        (
            Cloud.AZURE,
            '"1.35"',
            '"1.35"\n    systemPool: {size: Standard_D8s_v5}',
            "fixed: AKS cannot resize a pool, and cannot be without its system pool.",
        ),
    ],
)  # fmt: skip
def test_a_change_of_a_fixed_setting_is_refused_with_the_deployed_value(
    cloud: Cloud, old: str, new: str, problem: str
) -> None:
    message = refusal(old, new, cloud, confirmed=list_settings())
    assert problem in message
    assert "Remedy: set it back to " in message


@pytest.mark.parametrize(
    ("cloud", "old", "new", "effect"),
    [
        (Cloud.AZURE, "", "Standard_NC4as_T4_v3", "free"),
        (Cloud.AWS, "", "g5.xlarge", "free"),
        (Cloud.AZURE, "Standard_NC4as_T4_v3", "Standard_NC8as_T4_v3", "interrupts: the pool is replaced"),
        (Cloud.AWS, "g5.xlarge", "g6.xlarge", "rolls nodes: Karpenter replaces"),
        (Cloud.AZURE, "Standard_NC4as_T4_v3", "", "interrupts: the pool is deleted"),
        (Cloud.AWS, "g5.xlarge", "", "interrupts: the pool is deleted"),
    ],
)
def test_a_gpu_pool_can_be_added_freely_and_its_removal_interrupts(
    cloud: Cloud, old: str, new: str, effect: str
) -> None:
    assert str(CHANGES["cluster.gpuPool.size"][cloud].find(old, new)).startswith(effect)


def test_a_refusal_names_the_alternative() -> None:
    assert "set it back to '1.35'; or deploy 1.36 first." in refusal('"1.35"', '"1.37"')
    larger = refusal("owner: ml", "owner: ml\n  database: {storageGb: 66}", Cloud.AWS)
    assert "set it back to 64; or use 71 or more." in larger
    other = refusal("acme", "newco")
    assert "; for another value, destroy the stack and create it again." in other


def test_an_older_version_is_refused() -> None:
    newer = FILES[Cloud.AZURE].replace('"1.35"', '"1.36"')
    deployed = check(parse(newer), "test").dump()
    with pytest.raises(ValueError, match="a cluster cannot go back to an older version"):
        compare(parse(FILES[Cloud.AZURE]), "test", deployed, ())


def test_a_loss_of_data_has_to_be_confirmed() -> None:
    change = ("owner: ml", "owner: ml\n  database: {backupDays: 7}")
    message = refusal(*change)
    assert "groundwork:database.backupDays 35 -> 7 (line 7): loses data: older backups are deleted." in message
    assert "Remedy: set it back to 35, or confirm it with CONFIRM=database.backupDays." in message
    report = compare_with(*change, confirmed=["database.backupDays"])
    assert report == "  - groundwork:database.backupDays 35 -> 7: loses data: older backups are deleted."


def test_another_environment_changes_the_settings_whose_defaults_depend_on_it() -> None:
    message = refusal("environment: prod", "environment: dev")
    default = "not in the file: the default of its cloud and environment"
    assert f"groundwork:resilience.provisionedThroughput true -> false ({default}): fixed: " in message
    assert "CONFIRM=telemetry.retentionDays" in message


def test_a_setting_that_the_last_deployment_does_not_have_is_not_compared() -> None:
    deployed: dict[str, Any] = check(parse(FILES[Cloud.AZURE]), "test").dump()
    del deployed["network"]
    changed = FILES[Cloud.AZURE] + "  network: {cidr: 10.30.0.0/16}\n"
    assert compare(parse(changed), "test", deployed, ()) == ""
