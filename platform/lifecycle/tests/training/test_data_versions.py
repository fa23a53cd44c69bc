"""A version of the data is its content's hash in DVC, with which the same bytes are fetched.

Real DVC with a folder as its remote. Not proven: pushing to S3 or to Azure, for which there is no account; only the
configuration of their remotes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.core import LifecycleError
from lifecycle.training import data_versions


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_the_version_is_the_contents_hash_and_fetches_the_content(table: Path, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    version = data_versions.record(table, remote)
    assert version == hashlib.md5(table.read_bytes(), usedforsecurity=False).hexdigest()

    (tmp_path / "elsewhere").mkdir()
    data_versions.fetch(version, tmp_path / "elsewhere" / "table.csv", remote)
    assert (tmp_path / "elsewhere" / "table.csv").read_bytes() == table.read_bytes()


@pytest.mark.process
def test_dvc_itself_pulls_the_version_of_the_pointer_file(table: Path, tmp_path: Path) -> None:
    data_versions.record(table, str(tmp_path / "remote"))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(data_versions.pointer_path(table), checkout)
    for arguments in (["init", "--no-scm"], ["remote", "add", "-d", "store", str(tmp_path / "remote")], ["pull"]):
        subprocess.run([sys.executable, "-m", "dvc", "--quiet", *arguments], cwd=checkout, check=True)
    assert (checkout / "table.csv").read_bytes() == table.read_bytes()


def test_the_same_content_is_the_same_version(table: Path, tmp_path: Path) -> None:
    first = data_versions.record(table, str(tmp_path / "remote"))
    assert data_versions.record(table, str(tmp_path / "remote")) == first
    table.write_text("a,b\n1,3\n")
    assert data_versions.record(table, str(tmp_path / "remote")) != first


def test_a_version_that_the_remote_does_not_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match=r"DVC could not pull the data: the remote .* Set TRAINING_DATA_REMOTE"):
        data_versions.fetch("0" * 32, tmp_path / "table.csv", str(tmp_path / "remote"))


@pytest.mark.parametrize("version", ["", "latest", "../../etc/passwd", "g" * 32])
def test_a_version_that_is_not_a_hash_is_an_error(version: str, tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match="is not a version of the data"):
        data_versions.fetch(version, tmp_path / "table.csv", str(tmp_path))


def test_a_remote_that_cannot_be_written_is_named(table: Path) -> None:
    with pytest.raises(LifecycleError, match="could not push the data: the remote /proc/nowhere failed with"):
        data_versions.record(table, "/proc/nowhere")


@pytest.mark.parametrize(
    ("remote", "settings"),
    [
        ("s3://artifacts/mlflow/data", {"url": "s3://artifacts/mlflow/data"}),
        ("wasbs://mlflow@store.blob.core.windows.net/data", {"url": "azure://mlflow/data", "account_name": "store"}),
        ("wasbs://mlflow@store.blob.core.windows.net/", {"url": "azure://mlflow/", "account_name": "store"}),
        ("/var/data", {"url": "/var/data"}),
    ],
)
def test_a_stacks_artifact_store_is_configured_as_dvcs_remote(remote: str, settings: dict[str, str]) -> None:
    assert data_versions.remote_config(remote) == settings


def test_the_latest_file_of_a_remote_is_copied(tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    (remote / "weekly").mkdir(parents=True)
    (remote / "weekly" / "churn.csv").write_text("a,b\n3,4\n")
    data_versions.download("weekly/churn.csv", tmp_path / "table.csv", str(remote))
    assert (tmp_path / "table.csv").read_text() == "a,b\n3,4\n"


def test_a_file_that_the_remote_does_not_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match=r"churn.csv cannot be copied from the remote .* Put it there, or correct"):
        data_versions.download("churn.csv", tmp_path / "table.csv", str(tmp_path / "remote"))
