"""What `make preflight`, `preview`, `up` and `destroy` report when credentials, Pulumi or a backend are missing.

Proves the checks of the environment. Nothing here reaches a cloud.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from deploy import commands
from deploy.errors import DeployError
from deploy.prerequisites import find_missing

AZURE = {"ARM_CLIENT_ID": "c", "ARM_TENANT_ID": "t", "ARM_SUBSCRIPTION_ID": "s", "ARM_USE_OIDC": "true"}
AWS = {"AWS_PROFILE": "ml"}


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment with Pulumi installed and without any login."""
    install_pulumi(tmp_path, f"v{version('pulumi')}")
    home = str(tmp_path / "nobody")
    return {"PATH": str(tmp_path), "PULUMI_HOME": home, "AZURE_CONFIG_DIR": home}


def install_pulumi(folder: Path, reported: str) -> None:
    """A program that reports this version, and on any other command writes its arguments beside itself."""
    pulumi = folder / "pulumi"
    pulumi.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo "{reported}" || echo "$@" > "{folder}/arguments"\n')
    pulumi.chmod(0o755)


def test_everything_missing_is_named_with_its_remedy(bare: dict[str, str]) -> None:
    problems = find_missing("azure-dev", {**bare, "PATH": ""})
    assert [problem.split(":")[0].split(",")[0] for problem in problems] == [
        "a backend for the state",
        "an installed Pulumi with its Python language host",
        "credentials for Azure",
    ]
    assert "pulumi login" in problems[0]
    assert "az login" in problems[2]


@pytest.mark.parametrize(
    ("stack", "credentials"),
    [
        ("azure-dev", AZURE),
        ("aws-dev", AWS),
        ("aws-dev", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}),
        ("aws-dev", {"AWS_ROLE_ARN": "a", "AWS_WEB_IDENTITY_TOKEN_FILE": "b"}),
    ],
)
def test_credentials_of_the_stacks_cloud_and_a_backend_are_enough(
    bare: dict[str, str], stack: str, credentials: dict[str, str]
) -> None:
    assert find_missing(stack, {**bare, **credentials, "PULUMI_ACCESS_TOKEN": "t"}) == []


@pytest.mark.parametrize("absent", AZURE)
def test_half_of_azures_credentials_is_none(bare: dict[str, str], absent: str) -> None:
    half = {key: value for key, value in AZURE.items() if key != absent}
    (problem,) = find_missing("azure-dev", {**bare, **half, "PULUMI_BACKEND_URL": "s3://state"})
    assert problem.startswith("credentials for Azure")


def test_the_other_clouds_credentials_do_not_help(bare: dict[str, str]) -> None:
    (problem,) = find_missing("aws-dev", {**bare, **AZURE, "PULUMI_ACCESS_TOKEN": "t"})
    assert problem.startswith("credentials for AWS")


@pytest.mark.parametrize("reported", ["v3.10.0", "unreadable"])
def test_an_engine_older_than_the_sdk_is_refused(bare: dict[str, str], tmp_path: Path, reported: str) -> None:
    install_pulumi(tmp_path, reported)
    (problem,) = find_missing("aws-dev", {**bare, **AWS, "PULUMI_ACCESS_TOKEN": "t"})
    assert f"reports version '{reported}'" in problem
    assert version("pulumi") in problem


@pytest.mark.parametrize("action", commands.ACTIONS)
def test_nothing_is_touched_when_something_is_missing(
    bare: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr("os.environ", bare)
    expected = rf"(?s)`make {action} STACK=aws-dev` works on the real cloud.*Nothing has been touched"
    with pytest.raises(DeployError, match=expected):
        commands.run(action, "aws-dev")
    assert not (tmp_path / "arguments").exists()


def test_an_unknown_stack_is_an_error_that_names_the_stacks() -> None:
    with pytest.raises(DeployError, match=r"There is no stack 'aws-pord'.*aws-prod"):
        commands.run("up", "aws-pord")


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("preview", f"preview --stack aws-dev --policy-pack {commands.ROOT / 'policies'}"),
        ("up", f"up --stack aws-dev --policy-pack {commands.ROOT / 'policies'}"),
        ("destroy", "destroy --stack aws-dev"),
        ("preflight", None),
    ],
)
def test_pulumi_runs_for_the_stack_under_the_policies(
    bare: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, arguments: str | None
) -> None:
    for key, value in {**bare, **AWS, "PULUMI_ACCESS_TOKEN": "t"}.items():
        monkeypatch.setenv(key, value)
    assert commands.run(action, "aws-dev") == 0
    record = tmp_path / "arguments"
    assert (record.read_text().strip() if record.exists() else None) == arguments
