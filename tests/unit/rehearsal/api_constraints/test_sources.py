"""The generated files match their sources, and every property that the program declares on AWS is found in its API.

If botocore, which only the lifecycle package needs, is not installed, only the versions are compared. Not proven: that
`aws_members.yaml` maps each property to the right member; that was taken from the provider's source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rehearsal.api_constraints import __main__ as command
from rehearsal.api_constraints.aws import list_apart, read_aws
from rehearsal.simulator.aws import api_constraints as aws
from rehearsal.simulator.aws.cloud import MODELS
from rehearsal.simulator.azure import api_constraints as azure
from rehearsal.toolchain import ROOT
from tests.support.sample_foundations import record_foundation

REMEDY = "the source of the constraints has changed: run `make constraints`"
_HUB: dict[str, Any] = {"hub": "tgw-0123456789abcdef0"}


@pytest.fixture(scope="module")
def botocore() -> Path:
    found = command.find_botocore()
    if found is None:
        pytest.skip("the environment of platform/lifecycle, which has botocore, does not exist")
    return found


def test_the_files_name_the_versions_that_are_locked() -> None:
    lock = (ROOT / "platform" / "lifecycle" / "requirements.txt").read_text()
    (botocore,) = re.findall(r"^botocore==(\S+)", lock, re.MULTILINE)
    assert _read(aws.FILE)["source"] == f"botocore {botocore}, pulumi-aws {metadata.version('pulumi-aws')}", REMEDY
    assert _read(azure.FILE)["source"] == f"pulumi-azure-native {metadata.version('pulumi-azure-native')}", REMEDY


@pytest.mark.slow
def test_azures_file_matches_the_sdk() -> None:
    source, types = command.describe_azure()
    assert _read(azure.FILE)["types"] == {type_: entries for type_, entries in types.items() if entries}, REMEDY
    assert _read(azure.FILE)["source"] == source


@pytest.mark.slow
def test_awss_file_matches_botocore(botocore: Path) -> None:
    source, types = command.describe_aws(botocore)
    assert _read(aws.FILE)["types"] == {type_: entries for type_, entries in types.items() if entries}, REMEDY
    assert _read(aws.FILE)["source"] == source


@pytest.mark.slow
def test_every_modelled_type_has_its_operations(botocore: Path) -> None:
    assert read_aws(botocore / "data").keys() == MODELS.keys()


@pytest.mark.slow
def test_every_declared_property_is_a_member_of_the_api_or_listed_apart(botocore: Path) -> None:
    readers = read_aws(botocore / "data")
    stack = record_foundation("aws", "prod", telemetry={"alertEmail": "ml@example.com"}, network=_HUB)
    unfound = {
        f"{resource.type} {name}"
        for resource in stack.recorder.resources
        if resource.type in MODELS
        for name in _list_unfollowed(resource.inputs, readers[resource.type].followed)
        if name not in list_apart(resource.type)
    }
    assert unfound == set(), "name their members in rehearsal/api_constraints/aws_members.yaml"


@pytest.mark.slow
def test_a_missing_botocore_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setattr(command, "find_botocore", lambda: None)
    monkeypatch.setattr(azure, "FILE", tmp_path / "azure.json")
    assert command.main() == 1
    assert (
        "has no botocore, whose service models describe AWS's inputs: run `make constraints`" in capsys.readouterr().err
    )


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _list_unfollowed(value: Any, followed: set[str], path: str = "") -> Iterator[str]:
    """The properties of a value, at any depth, that were not found in the API; those inside them are omitted."""
    if isinstance(value, list):
        for item in value:
            yield from _list_unfollowed(item, followed, f"{path}[*]")
    elif isinstance(value, dict) and f"{path}[*]" not in followed:
        for name, inner in value.items():
            below = f"{path}.{name}" if path else name
            if below in followed:
                yield from _list_unfollowed(inner, followed, below)
            else:
                yield below
