"""How commands reach a stack, and which stack an environment means."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import DeployError
from kernel.rehearsals import REHEARSED_STACK
from operations import deployment, target
from operations.target import read_target


@pytest.fixture(autouse=True)
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of access files of this machine, which has none."""
    monkeypatch.setattr(target, "_ACCESS", tmp_path)
    monkeypatch.delenv(REHEARSED_STACK, raising=False)
    return tmp_path


def test_the_access_file_of_a_stack_precedes_the_environment(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "5432")
    (access / "aws-dev.env").write_text("# a tunnel\nPGPORT=15432\n\nKUBECONFIG=/tmp/config\n")
    found = read_target("aws-dev")
    assert (found.environment["PGPORT"], found.cluster_options) == ("15432", ())
    assert read_target("aws-prod").environment["PGPORT"] == "5432"


def test_a_line_that_is_not_a_variable_is_reported(access: Path) -> None:
    (access / "aws-dev.env").write_text("PGPORT=15432\nexport A=b\n")
    with pytest.raises(DeployError, match=r"aws-dev\.env, line 2: 'export A=b' is not of the form NAME=value"):
        read_target("aws-dev")


def test_the_shell_of_another_rehearsal_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REHEARSED_STACK, "azure-dev")
    assert read_target("azure-dev").is_rehearsed
    with pytest.raises(DeployError, match="belongs to the rehearsal of azure-dev, but aws-dev is another stack"):
        read_target("aws-dev")


def test_an_environment_and_a_cloud_identify_a_stack() -> None:
    assert deployment.find_stack("dev", "aws") == "aws-dev"
    with pytest.raises(DeployError, match="environment dev has the stacks aws-dev, azure-dev: name one"):
        deployment.find_stack("dev", "")
    with pytest.raises(DeployError, match="has environment qa: set ENV to one of dev, prod, staging"):
        deployment.find_stack("qa", "")
