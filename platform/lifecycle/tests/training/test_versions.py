"""A version of the data is its content's hash under DVC, and brings the same bytes back.

Real DVC with a folder as its remote. Not proven here: pushing to S3 or to Azure, for which there is no account; only
that DVC is told their addresses as it reads them.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.contract import LifecycleError
from lifecycle.training import versions


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_the_version_is_the_contents_hash_and_brings_it_back(table: Path, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    version = versions.record(table, remote)
    assert version == hashlib.md5(table.read_bytes(), usedforsecurity=False).hexdigest()

    (tmp_path / "elsewhere").mkdir()
    versions.fetch(version, tmp_path / "elsewhere" / "table.csv", remote)
    assert (tmp_path / "elsewhere" / "table.csv").read_bytes() == table.read_bytes()


def test_dvc_itself_pulls_what_the_pointer_names(table: Path, tmp_path: Path) -> None:
    versions.record(table, str(tmp_path / "remote"))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(versions.pointer(table), checkout)
    for words in (["init", "--no-scm"], ["remote", "add", "-d", "store", str(tmp_path / "remote")], ["pull"]):
        subprocess.run([sys.executable, "-m", "dvc", "--quiet", *words], cwd=checkout, check=True)
    assert (checkout / "table.csv").read_bytes() == table.read_bytes()


def test_the_same_content_is_the_same_version(table: Path, tmp_path: Path) -> None:
    first = versions.record(table, str(tmp_path / "remote"))
    assert versions.record(table, str(tmp_path / "remote")) == first
    table.write_text("a,b\n1,3\n")
    assert versions.record(table, str(tmp_path / "remote")) != first


def test_a_version_that_the_remote_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match=r"DVC could not pull the data: the remote .* Set TRAINING_DATA_REMOTE"):
        versions.fetch("0" * 32, tmp_path / "table.csv", str(tmp_path / "remote"))


@pytest.mark.parametrize("version", ["", "latest", "../../etc/passwd", "g" * 32])
def test_what_is_no_hash_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match="is no version of data"):
        versions.fetch(version, tmp_path / "table.csv", str(tmp_path))


def test_a_remote_that_cannot_be_written_is_named(table: Path) -> None:
    with pytest.raises(LifecycleError, match="could not push the data: the remote /proc/nowhere says"):
        versions.record(table, "/proc/nowhere")


@pytest.mark.parametrize(
    ("remote", "settings"),
    [
        ("s3://artifacts/mlflow/data", {"url": "s3://artifacts/mlflow/data"}),
        ("wasbs://mlflow@store.blob.core.windows.net/data", {"url": "azure://mlflow/data", "account_name": "store"}),
        ("wasbs://mlflow@store.blob.core.windows.net/", {"url": "azure://mlflow/", "account_name": "store"}),
        ("/var/data", {"url": "/var/data"}),
    ],
)
def test_a_stacks_artifact_store_is_told_to_dvc_as_dvc_reads_it(remote: str, settings: dict[str, str]) -> None:
    assert versions.location(remote) == settings
