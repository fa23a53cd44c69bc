"""File stores: the programs that access them, and their options. A folder is real.

Not proven: that the clouds' programs do what their documentation says.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.programs import Answer
from deploy.stack import Stack
from operations.store import open_store
from operations.target import Target


@dataclasses.dataclass(frozen=True)
class RecordingTarget(Target):
    """Runs no program; `commands` has their command lines, `answers` their output, keyed by how the line begins."""

    commands: list[str] = dataclasses.field(default_factory=list)
    answers: dict[str, str] = dataclasses.field(default_factory=dict)

    def ask(self, program: str, *arguments: str, text: str | None = None, **variables: str) -> Answer:  # noqa: ARG002
        line = " ".join((program, *arguments))
        self.commands.append(line)
        return Answer(0, next((answer for start, answer in self.answers.items() if line.startswith(start)), ""), "")


@pytest.fixture
def target() -> RecordingTarget:
    return RecordingTarget(Stack("aws-dev", Path("Pulumi.aws-dev.yaml"), None, None, None), {}, is_rehearsed=True)


def test_a_folder_stores_and_lists_files(target: RecordingTarget, tmp_path: Path) -> None:
    store = open_store(target, (tmp_path / "store").as_uri())
    (tmp_path / "file").write_text("text")
    for name in ("b/manifest.json", "a/manifest.json", "a/database.dump"):
        store.upload(tmp_path / "file", name)
    assert store.list_names("/manifest.json") == ["a/manifest.json", "b/manifest.json"]
    store.child("a").mirror(open_store(target, (tmp_path / "other").as_uri()))
    assert (tmp_path / "other" / "database.dump").read_text() == "text"
    with pytest.raises(DeployError, match="does not exist"):
        store.download("c/manifest.json", tmp_path / "file")
    assert target.commands == []


def test_a_bucket_is_accessed_with_the_aws_cli(target: RecordingTarget, tmp_path: Path) -> None:
    store = open_store(target, "s3://acme/stacks").child("aws-dev")
    target.answers["aws s3api"] = '["stacks/aws-dev/1/manifest.json", "stacks/aws-dev/1/state.json"]'
    assert store.list_names("/manifest.json") == ["1/manifest.json"]
    store.upload(tmp_path / "dump", "1/database.dump")
    store.mirror(open_store(target, "s3://other/mlflow"))
    assert target.commands == [
        "aws s3api list-objects-v2 --bucket acme --query Contents[].Key --output json --prefix stacks/aws-dev/",
        f"aws s3 cp --only-show-errors {tmp_path}/dump s3://acme/stacks/aws-dev/1/database.dump",
        "aws s3 sync --only-show-errors s3://acme/stacks/aws-dev s3://other/mlflow",
    ]


def test_an_empty_bucket_has_no_files(target: RecordingTarget) -> None:
    target.answers["aws s3api"] = "null"
    assert open_store(target, "s3://acme/stacks").list_names("json") == []


def test_a_container_is_accessed_without_keys(target: RecordingTarget, tmp_path: Path) -> None:
    store = open_store(target, "https://acme.blob.core.windows.net/stacks/azure-dev")
    target.answers["az storage blob list"] = '["azure-dev/1/manifest.json"]'
    assert store.list_names("/manifest.json") == ["1/manifest.json"]
    store.download("1/state.json", tmp_path / "state")
    store.mirror(open_store(target, "wasbs://mlflow@acmest.blob.core.windows.net/"))
    listed, downloaded, mirrored = target.commands
    assert "--prefix azure-dev/ " in listed
    assert f"--file {tmp_path}/state --name azure-dev/1/state.json" in downloaded
    for line in (listed, downloaded):
        assert line.endswith("--account-name acme --container-name stacks --auth-mode login --only-show-errors")
    assert mirrored.startswith(
        "azcopy sync https://acme.blob.core.windows.net/stacks/azure-dev https://acmest.blob.core.windows.net/mlflow "
    )


@pytest.mark.parametrize("url", ["acme", "gs://acme", "https://acme.example.com/x", "file://relative"])
def test_an_unsupported_url_is_rejected(target: RecordingTarget, url: str) -> None:
    with pytest.raises(DeployError, match="is not a store for files: it has to be s3://"):
        open_store(target, url)
