"""Scenarios on another project with a few resources: how they run, and how their results are reported.

Proves with the real engine that a scenario is a sequence of the rehearsal's own commands on a separate rehearsal, that
two stacks in one account can conflict, that settings follow a cloud's growth, return to the stack's own after an
upgrade and avoid a size that is sold out, and that a failed run is recorded as such. tests/soak runs every scenario on
every stack of this project.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.support.project import Run
from tests.support.small_projects import OFFLINE_DESCRIPTION, OFFLINE_FILES, create_project, rehearse

pytestmark = pytest.mark.engine

FILES = {
    "Pulumi.yaml": "name: shop\nruntime: python\n",
    "rehearsal.yaml": (
        f"stacks: .\n{OFFLINE_DESCRIPTION}"
        "scenarios: {account: cloud, unprotected: {keep: false}, table: scenarios.md}\n"
    ),
    **OFFLINE_FILES,
    # Both stacks retain their visits by default; one stack of `clash` uses the other's name.
    **{
        f"Pulumi.{stack}.yaml": f"config:\n  aws:region: eu-west-1\n  shop:cloud: {cloud}\n  shop:name: {name}\n"
        for stack, cloud, name in (("a", "1", "a"), ("b", "1", "b"), ("c", "2", "c"), ("clash", "2", "c"))
    },
    "__main__.py": (
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "\n"
        "config = pulumi.Config()\n"
        "keep = config.get_bool('keep') is not False\n"
        "options = pulumi.ResourceOptions(protect=keep)\n"
        "name = f'/shop/{config.require(\"name\")}/visits'\n"
        "aws.cloudwatch.LogGroup('visits', name=name, retention_in_days=30, opts=options)\n"
    ),
}  # fmt: skip
# A database in two zones, which grows, fails over, is upgraded, and whose size is sold out.
CELLAR = {
    "Pulumi.yaml": "name: cellar\nruntime: python\n",
    "rehearsal.yaml": (
        f"stacks: .\n{OFFLINE_DESCRIPTION}"
        "scenarios:\n"
        "  account: cloud\n"
        "  earlier: {aws: {database.version: '16.3'}}\n"
        "  sold_out: {aws: db.t4g.medium}\n"
        "  in_stock: {aws: {database.size: db.m6g.large}}\n"
    ),
    **OFFLINE_FILES,
    "Pulumi.a.yaml": (
        "config:\n"
        "  aws:region: eu-west-1\n"
        "  cellar:cloud: aws\n"
        "  cellar:location: eu-west-1\n"
        "  cellar:database: {version: '16.4', size: db.t4g.medium, storage: 20}\n"
    ),
    "__main__.py": (
        "import pulumi\n"
        "from pulumi_aws import ec2, rds\n"
        "\n"
        "settings = pulumi.Config().require_object('database')\n"
        "network = ec2.Vpc('cellar', cidr_block='10.0.0.0/16')\n"
        "zones = {'eu-west-1a': '10.0.0.0/24', 'eu-west-1b': '10.0.1.0/24'}\n"
        "subnets = [\n"
        "    ec2.Subnet(zone, vpc_id=network.id, cidr_block=block, availability_zone=zone)\n"
        "    for zone, block in zones.items()\n"
        "]\n"
        "group = rds.SubnetGroup('cellar', subnet_ids=[subnet.id for subnet in subnets])\n"
        "rds.Instance(\n"
        "    'visits',\n"
        "    engine='postgres',\n"
        "    engine_version=settings['version'],\n"
        "    instance_class=settings['size'],\n"
        "    storage_type='gp3',\n"
        "    allocated_storage=settings['storage'],\n"
        "    max_allocated_storage=100,\n"
        "    multi_az=True,\n"
        "    db_subnet_group_name=group.name,\n"
        "    username='shop',\n"
        "    manage_master_user_password=True,\n"
        "    auto_minor_version_upgrade=False,\n"
        "    skip_final_snapshot=True,\n"
        ")\n"
    ),
}  # fmt: skip
# A database whose disk Azure enlarges: the setting has to follow, since Azure refuses to shrink it.
GROWING = {
    "Pulumi.yaml": "name: store\nruntime: python\n",
    "rehearsal.yaml": (
        f"stacks: .\n{OFFLINE_DESCRIPTION}"
        "scenarios:\n"
        "  account: cloud\n"
        "  grown: {database.storage: azure-native:dbforpostgresql:Server storage.storageSizeGB}\n"
    ),
    **OFFLINE_FILES,
    "Pulumi.a.yaml": (
        "config:\n"
        "  azure-native:location: westeurope\n"
        "  store:cloud: azure\n"
        "  store:database: {storage: 64}\n"
    ),
    "__main__.py": (
        "import pulumi\n"
        "from pulumi_azure_native import dbforpostgresql, resources\n"
        "\n"
        "settings = pulumi.Config().require_object('database')\n"
        "group = resources.ResourceGroup('store')\n"
        "dbforpostgresql.Server(\n"
        "    'visits',\n"
        "    resource_group_name=group.name,\n"
        "    version='16',\n"
        "    sku={'name': 'Standard_D2ds_v5', 'tier': 'GeneralPurpose'},\n"
        "    storage={'storage_size_gb': settings['storage'], 'auto_grow': 'Enabled'},\n"
        "    administrator_login='shop',\n"
        "    administrator_login_password='aB3aB3aB3aB3',\n"
        ")\n"
    ),
}  # fmt: skip
TODAY = date.today()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("shop"), FILES)


@pytest.fixture(scope="module")
def cellar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("cellar"), CELLAR)


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("store"), GROWING)


def run_scenario(folder: Path, stack: str, name: str) -> Run:
    return rehearse(folder, "scenario", stack, "--name", name)


def read_row(folder: Path, name: str) -> str:
    return next(line for line in (folder / "scenarios.md").read_text().splitlines() if line.startswith(f"| `{name}`"))


def test_a_protected_stack_is_destroyed_and_brought_up_again(folder: Path) -> None:
    run = run_scenario(folder, "a", "destroy then up")
    assert run.returncode == 0, run.output
    assert list_steps(run) == ["up without protection", "destroy", "up again, with reserved names"]
    assert read_row(folder, "destroy-then-up").endswith(f"| passed {TODAY} | not run | not run | not run |")
    rehearsals = folder / ".groundwork" / "rehearsals"
    assert [path.name for path in rehearsals.iterdir() if path.is_dir()] == ["a-scenario-destroy-then-up"]


def test_two_stacks_with_different_names_share_an_account(folder: Path) -> None:
    run = run_scenario(folder, "a", "two-stacks-in-one-account")
    assert run.returncode == 0, run.output
    assert "== b: up in the account of a" in run.output


def test_a_name_that_two_stacks_use_fails_the_scenario(folder: Path) -> None:
    run = run_scenario(folder, "c", "two-stacks-in-one-account")
    assert run.returncode == 1, run.output
    assert "FAILED: scenario two-stacks-in-one-account on c." in run.output
    assert "already exists" in run.output
    assert f"passed {TODAY} | not run | **failed** {TODAY} | not run |" in read_row(folder, "two-stacks-in-one-account")


def list_steps(run: Run) -> list[str]:
    return [line.removeprefix("== a: ") for line in run.output.splitlines() if line.startswith("== ")]


def test_a_setting_is_adjusted_to_a_disk_that_has_grown(growing: Path) -> None:
    run = run_scenario(growing, "a", "after growth failover and scaling")
    assert run.returncode == 0, run.output
    assert list_steps(run)[:3] == [
        "up",
        "changes in the cloud: growth",
        "up with settings that follow: database.storage = 128",
    ]
    assert "visits (Server): storage.storageSizeGB from 64 to 128" in run.output


def test_growth_that_the_provider_ignores_needs_no_setting(cellar: Path) -> None:
    run = run_scenario(cellar, "a", "after growth failover and scaling")
    assert run.returncode == 0, run.output
    assert list_steps(run) == [
        "up",
        *(f"changes in the cloud: {actor}" for actor in ("growth", "failover", "autoscaler")),
        "up after all changes",
    ]
    assert "visits (Instance): allocatedStorage from 20 to 30" in run.output
    assert "visits (Instance): availabilityZone from unset to eu-west-1b" in run.output


def test_an_upgrade_ends_with_the_stacks_own_versions(cellar: Path) -> None:
    run = run_scenario(cellar, "a", "minor-upgrade")
    assert run.returncode == 0, run.output
    assert list_steps(run)[:2] == ["up with database.version = 16.3", "up with the stack's own versions"]


def test_a_size_that_is_sold_out_is_named_and_another_one_works(cellar: Path) -> None:
    run = run_scenario(cellar, "a", "region-out-of-stock")
    assert run.returncode == 0, run.output
    assert "Refused, as expected: 'up where eu-west-1a has no db.t4g.medium'." in run.output
    assert list_steps(run)[1:] == ["up there with database.size = db.m6g.large"]


def test_an_unknown_scenario_has_one_message(folder: Path) -> None:
    run = run_scenario(folder, "a", "destroy-than-up")
    assert run.returncode == 1
    assert run.output.startswith("error: NAME='destroy-than-up' is not a scenario. Did you mean destroy-then-up?")
    assert run.output.count("\n") == 1
