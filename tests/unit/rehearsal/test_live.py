"""What `make preview`, `up` and `destroy` say when credentials or a backend are missing.

Proves the questions asked of the environment. Nothing here reaches a cloud.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import live
from rehearsal.console import UserError

AZURE = {"ARM_CLIENT_ID": "c", "ARM_TENANT_ID": "t", "ARM_SUBSCRIPTION_ID": "s", "ARM_USE_OIDC": "true"}


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which nobody is logged in to anything, with Pulumi installed."""
    pulumi = tmp_path / "pulumi"
    pulumi.write_text("")
    pulumi.chmod(0o755)
    home = str(tmp_path / "nobody")
    return {"PATH": str(tmp_path), "PULUMI_HOME": home, "AZURE_CONFIG_DIR": home}


def test_everything_missing_is_named_with_its_remedy(bare: dict[str, str]) -> None:
    problems = live.missing("azure-dev", {**bare, "PATH": ""})
    assert [problem.split(":")[0] for problem in problems] == [
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
        ("aws-dev", {"AWS_PROFILE": "ml"}),
        ("aws-dev", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}),
        ("aws-dev", {"AWS_ROLE_ARN": "a", "AWS_WEB_IDENTITY_TOKEN_FILE": "b"}),
    ],
)
def test_credentials_of_the_stacks_cloud_and_a_backend_are_enough(
    bare: dict[str, str], stack: str, credentials: dict[str, str]
) -> None:
    assert live.missing(stack, {**bare, **credentials, "PULUMI_ACCESS_TOKEN": "t"}) == []


@pytest.mark.parametrize("absent", AZURE)
def test_half_of_azures_credentials_is_none(bare: dict[str, str], absent: str) -> None:
    half = {key: value for key, value in AZURE.items() if key != absent}
    (problem,) = live.missing("azure-dev", {**bare, **half, "PULUMI_BACKEND_URL": "s3://state"})
    assert problem.startswith("credentials for Azure")


def test_the_other_clouds_credentials_do_not_help(bare: dict[str, str]) -> None:
    (problem,) = live.missing("aws-dev", {**bare, **AZURE, "PULUMI_ACCESS_TOKEN": "t"})
    assert problem.startswith("credentials for AWS")


def test_a_person_is_told_that_nothing_was_touched(bare: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", bare)
    with pytest.raises(
        UserError, match=r"(?s)`make up STACK=aws-dev` works on the real cloud.*Nothing has been touched"
    ):
        live.run("aws-dev", "up")
