"""`make bootstrap`: forms of backends, and Azure with a stand-in for its CLI.

Proves the messages, the order of the commands and their options. Not proven: what `az` does with them, since no
emulator of Azure Resource Manager is known. AWS is in test_bootstrap_aws.py.
"""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.programs import Answer, Programs
from operations import bootstrap, bootstrap_azure
from operations.cloud_cli import CloudCli

BACKEND = "azblob://state?storage_account=acmestate"
ACCOUNT = {
    "location": "northeurope",
    "allowBlobPublicAccess": False,
    "allowSharedKeyAccess": False,
    "minimumTlsVersion": "TLS1_2",
}
VAULT = {"location": "northeurope", "properties": {"enablePurgeProtection": True}}


class FakeAzure(Programs):
    """Responds to `show` with the resources that exist; `calls` has all other commands."""

    def __init__(self, **resources: object) -> None:
        super().__init__({})
        self.resources, self.calls = resources, list[str]()

    def find(self, name: str) -> str:
        return name

    def ask(self, name: str, *arguments: str, timeout: float = 60.0) -> Answer:  # noqa: ARG002 it returns at once
        assert name == "az"
        words = list(takewhile(lambda each: not each.startswith("--"), arguments))
        subject = words[-2]
        if words[-1] == "show":
            resource = self.resources.get(subject)
            return (
                Answer(0, json.dumps(resource), "")
                if resource
                else Answer(3, "", "ERROR: (ResourceNotFound) was not found")
            )
        self.calls.append(" ".join(words))
        return Answer(0, "{}", "")


@pytest.mark.parametrize(
    ("backend", "location", "problem"),
    [
        ("", "eu-west-1", "BACKEND=nothing is not a backend for states: it has to be s3://<bucket>"),
        ("gs://acme", "eu-west-1", "BACKEND=gs://acme is not a backend for states"),
        ("s3://acme-state", "westeurope", "LOCATION=westeurope is not a region of aws"),
    ],
)
def test_an_unsupported_backend_is_rejected(backend: str, location: str, problem: str) -> None:
    with pytest.raises(DeployError, match=problem):
        bootstrap.run(backend, location, is_confirmed=True)


def test_pulumi_cloud_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.run("https://api.pulumi.com", "", is_confirmed=False) == 0
    assert "`pulumi login https://api.pulumi.com`" in capsys.readouterr().out


def run(monkeypatch: pytest.MonkeyPatch, azure: FakeAzure) -> int:
    monkeypatch.setattr(bootstrap, "Programs", lambda _: azure)
    return bootstrap.run(BACKEND, "northeurope", is_confirmed=True)


def test_azure_resources_are_created_in_the_order_of_their_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = FakeAzure()
    assert run(monkeypatch, azure) == 0
    assert azure.calls == [
        "group create",
        "storage account create",
        "storage account blob-service-properties update",
        "storage container-rm create",
        "keyvault create",
        "keyvault key create",
    ]


def test_only_missing_azure_resources_are_created(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = FakeAzure(group=ACCOUNT, account=ACCOUNT, keyvault=VAULT)
    assert run(monkeypatch, azure) == 0
    assert "storage account create" not in azure.calls
    assert azure.calls[0] == "storage account blob-service-properties update"


def test_an_account_with_other_settings_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = FakeAzure(group=ACCOUNT, account={**ACCOUNT, "allowSharedKeyAccess": True})
    with pytest.raises(DeployError, match="account: allowSharedKeyAccess is True"):
        run(monkeypatch, azure)
    assert azure.calls == []


def test_names_of_vaults_are_short_enough() -> None:
    assert len(bootstrap_azure.vault_name("a" * 24)) == 24


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="`az` is not on PATH"):
        CloudCli(Programs({"PATH": str(tmp_path)})).call("az", "group", "list")
