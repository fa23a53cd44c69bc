"""The findings of a preflight on Pulumi: its version, its backend, the stack in it, and the encryption of secrets.

Proves how the output of the engine's version 3.255 is read; tests/engine/test_deployment.py proves that the engine
prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from deploy.engine import Engine
from deploy.errors import DeployError
from deploy.findings import Finding, Status
from deploy.stack import Stack
from infra.core.settings import Cloud
from tests.support.fake_programs import FakePrograms, refuse

FOLDER = {"user": "ada", "url": "file:///state"}
CLOUD = {"user": "ada", "url": "https://app.pulumi.com/ada"}
NOT_FOUND = refuse("error: no stack named 'team' found", 6)
UNSET = refuse(
    "error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"
)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    file = tmp_path / "Pulumi.team.yaml"
    file.write_text("config: {}\n")
    return Stack("team", file, None, Cloud.AWS, None)


def engine(answers: Mapping[str, Any], *, is_interactive: bool = False, **environment: str) -> Engine:
    return Engine(FakePrograms(answers, environment), is_interactive)


def state(stack: Stack, answers: Mapping[str, Any], **options: Any) -> list[Finding]:
    return list(engine(answers, **options).check_state(stack))


@pytest.mark.parametrize("reported", ["v3.10.0", "unreadable"])
def test_an_engine_older_than_the_sdk_is_rejected(reported: str) -> None:
    found = engine({"pulumi version": reported}).check_program()
    assert found.status is Status.MISSING
    assert f"reports version '{reported}'" in found.text
    assert version("pulumi") in found.text


def test_an_engine_as_new_as_the_sdk_is_accepted_and_a_missing_one_is_rejected() -> None:
    assert engine({"pulumi version": f"v{version('pulumi')}"}).check_program().status is Status.OK
    found = engine({}).check_program()
    assert (found.status, "https://www.pulumi.com/docs/install/" in found.remedy) == (Status.MISSING, True)


def test_providers_that_already_run_are_reported() -> None:
    assert list(engine({}).check_attachment()) == []
    (found,) = engine({}, PULUMI_DEBUG_PROVIDERS="aws:4000").check_attachment()
    assert (found.status, "(aws:4000)" in found.text) == (Status.NOTE, True)


def test_the_error_of_a_missing_login_names_the_ways_to_log_in(stack: Stack) -> None:
    message = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"
    (found,) = state(stack, {"pulumi whoami": refuse(message, 3)})
    assert found.status is Status.MISSING
    assert "PULUMI_ACCESS_TOKEN must be set" in found.text
    assert all(way in found.remedy for way in ("pulumi login", "PULUMI_ACCESS_TOKEN", "PULUMI_BACKEND_URL"))


def test_a_stack_that_is_not_in_the_backend_is_not_an_error(stack: Stack) -> None:
    found = state(stack, {"pulumi whoami": CLOUD, "pulumi config set": NOT_FOUND})
    assert [finding.status for finding in found] == [Status.OK, Status.OK]
    assert "the first preview or deployment creates it" in found[1].text


def test_a_stack_in_the_backend_is_checked_with_a_copy_of_its_file(stack: Stack) -> None:
    checked = engine({"pulumi whoami": FOLDER, "pulumi config set": ""}, PULUMI_CONFIG_PASSPHRASE="")
    assert [finding.status for finding in checked.check_state(stack)] == [Status.OK, Status.OK]
    command = checked.programs.commands[-1]  # type: ignore[attr-defined]
    assert command.startswith("pulumi config set --secret probe word --stack team --config-file ")
    assert str(stack.file) not in command


@pytest.mark.parametrize("url", ["file:///state", "s3://state", "azblob://state", "gs://state"])
def test_a_missing_passphrase_is_reported_if_there_is_no_terminal(stack: Stack, url: str) -> None:
    answers = {"pulumi whoami": {**FOLDER, "url": url}, "pulumi config set": NOT_FOUND}
    found = state(stack, answers)[-1]
    assert (found.subject, found.status) == ("encryption", Status.MISSING)
    assert "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE" in found.remedy
    assert state(stack, answers, PULUMI_CONFIG_PASSPHRASE="")[-1].status is Status.OK
    assert state(stack, answers, is_interactive=True)[-1].status is Status.OK


def test_a_passphrase_file_has_to_exist(stack: Stack, tmp_path: Path) -> None:
    answers = {"pulumi whoami": FOLDER, "pulumi config set": NOT_FOUND}
    path = tmp_path / "passphrase"
    found = state(stack, answers, PULUMI_CONFIG_PASSPHRASE_FILE=str(path))[-1]
    assert (found.status, str(path) in found.text) == (Status.MISSING, True)
    path.touch()
    assert state(stack, answers, PULUMI_CONFIG_PASSPHRASE_FILE=str(path))[-1].status is Status.OK


def test_a_key_service_needs_no_passphrase(stack: Stack) -> None:
    with_key = Stack(stack.name, stack.file, None, stack.cloud, None, secrets_provider="awskms://alias/state")
    assert state(with_key, {"pulumi whoami": FOLDER, "pulumi config set": ""})[-1].status is Status.OK


@pytest.mark.parametrize("is_interactive", [True, False])
def test_a_wrong_passphrase_is_reported_before_anything_starts(stack: Stack, is_interactive: bool) -> None:
    answers = {"pulumi whoami": FOLDER, "pulumi config set": refuse("error: incorrect passphrase")}
    found = state(stack, answers, is_interactive=is_interactive, PULUMI_CONFIG_PASSPHRASE="wrong")[-1]
    assert found.status is Status.MISSING
    assert "cannot be encrypted: incorrect passphrase" in found.text
    assert stack.file.name in found.remedy


def test_a_person_can_type_the_passphrase(stack: Stack) -> None:
    found = state(stack, {"pulumi whoami": FOLDER, "pulumi config set": UNSET}, is_interactive=True)[-1]
    assert found.status is Status.OK


def test_an_existing_stack_is_selected(stack: Stack) -> None:
    assert engine({"pulumi stack select": ""}).select_stack(stack, create=True) == "Selected stack 'team'."


def test_a_missing_stack_is_not_created_for_a_destroy(stack: Stack) -> None:
    with pytest.raises(DeployError, match="'team' cannot be selected: no stack named 'team' found"):
        engine({"pulumi stack select": NOT_FOUND}).select_stack(stack, create=False)
