"""Scenarios on a project that is not this one, of a few resources: what runs them, and how their ends are told.

Proves with the real engine that a scenario is a sequence of the rehearsal's own commands on a rehearsal beside the
usual one, that two stacks in one account meet, and that a run which fails is noted as such. tests/soak has every
scenario on every stack of this project.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.support.small_projects import OFFLINE_DESCRIPTION, OFFLINE_FILES, create_project, run

pytestmark = pytest.mark.engine

FILES = {
    "Pulumi.yaml": "name: shop\nruntime: python\n",
    "rehearsal.yaml": (
        f"stacks: .\n{OFFLINE_DESCRIPTION}"
        "scenarios: {account: cloud, unprotected: {keep: false}, table: scenarios.md}\n"
    ),
    **OFFLINE_FILES,
    # Both stacks keep their visits, until somebody says otherwise; one of `clash` has the other's name.
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
TODAY = date.today()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("shop"), FILES)


def take(folder: Path, stack: str, name: str) -> subprocess.CompletedProcess[str]:
    return run(folder, [sys.executable, "-m", "rehearsal", "scenario", stack, "--name", name])


def read_row(folder: Path, name: str) -> str:
    return next(line for line in (folder / "scenarios.md").read_text().splitlines() if line.startswith(f"| `{name}`"))


def test_what_is_protected_is_destroyed_and_comes_up_again(folder: Path) -> None:
    taken = take(folder, "a", "destroy then up")
    assert taken.returncode == 0, taken.stdout
    steps = [line.removeprefix("== a: ") for line in taken.stdout.splitlines() if line.startswith("== ")]
    assert steps == ["up without protection", "destroy", "up again, with the names that are taken"]
    assert read_row(folder, "destroy-then-up").endswith(f"| passed {TODAY} | not run | not run | not run |")
    rehearsals = folder / ".groundwork" / "rehearsals"
    assert [path.name for path in rehearsals.iterdir() if path.is_dir()] == ["a-scenario-destroy-then-up"]


def test_two_stacks_with_names_of_their_own_share_an_account(folder: Path) -> None:
    taken = take(folder, "a", "two-stacks-in-one-account")
    assert taken.returncode == 0, taken.stdout
    assert "== b: up in the account of a" in taken.stdout


def test_a_name_that_two_stacks_use_fails_the_scenario(folder: Path) -> None:
    taken = take(folder, "c", "two-stacks-in-one-account")
    assert taken.returncode == 1, taken.stdout
    assert "FAILED: scenario two-stacks-in-one-account on c." in taken.stdout
    assert "already exists" in taken.stdout
    assert f"passed {TODAY} | not run | **failed** {TODAY} | not run |" in read_row(folder, "two-stacks-in-one-account")


def test_an_unknown_scenario_has_one_message(folder: Path) -> None:
    taken = take(folder, "a", "destroy-than-up")
    assert taken.returncode == 1
    assert taken.stdout.startswith("error: NAME='destroy-than-up' is no scenario. Did you mean destroy-then-up?")
    assert taken.stdout.count("\n") == 1
