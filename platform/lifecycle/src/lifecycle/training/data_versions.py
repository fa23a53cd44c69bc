"""Versions of the data with DVC: a version is the content's hash, under which the remote stores the content.

The DVC repository is temporary and without Git. The history is in MLflow: each run stores the pointer file
(`table.csv.dvc`) with which `dvc pull` fetches the data in any folder with the same remote.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from lifecycle.core import LifecycleError

_HASH = re.compile(r"[0-9a-f]{32}")
_AZURE = re.compile(r"(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[^./]+)\.[^/]+/?(?P<path>.*)")


def pointer_path(table: Path) -> Path:
    """DVC's pointer file of a table, beside it."""
    return table.with_name(f"{table.name}.dvc")


def record(table: Path, remote: str) -> str:
    """Add a file to DVC and push it; returns the version, an MD5 in hex. Writes the pointer file beside the table.

    Raises LifecycleError if the push fails.
    """
    with _repository(remote) as repository:
        copy = Path(repository.root_dir, table.name)
        shutil.copy(table, copy)
        repository.add(str(copy))
        _transfer(repository, "push", copy, remote)
        shutil.copy(pointer_path(copy), pointer_path(table))
    recorded = yaml.safe_load(pointer_path(table).read_text())
    return str(recorded["outs"][0]["md5"])


def fetch(version: str, table: Path, remote: str) -> None:
    """Fetch a version from the remote to the file `table`, with its pointer file beside it.

    Raises LifecycleError if the version is not a hash, or the remote does not have it.
    """
    if not _HASH.fullmatch(version):
        raise LifecycleError(
            f"{version!r} is not a version of the data. Set TRAINING_SOURCE to `dvc:` and the 32 hexadecimal digits of "
            "DVC's hash."
        )
    with _repository(remote) as repository:
        copy = Path(repository.root_dir, table.name)
        pointer_path(copy).write_text(yaml.safe_dump({"outs": [{"md5": version, "hash": "md5", "path": table.name}]}))
        _transfer(repository, "pull", copy, remote)
        shutil.copy(copy, table)
        shutil.copy(pointer_path(copy), pointer_path(table))


def download(name: str, table: Path, remote: str) -> None:
    """Copy a file of the remote that is not a DVC version, such as the latest data, to the file `table`.

    Raises LifecycleError if the remote does not have it, or does not answer.
    """
    with _repository(remote) as repository:
        store = repository.cloud.get_remote()
        try:
            store.fs.get_file(store.fs.join(store.path, name), str(table))
        except Exception as error:
            reason = " ".join(str(error).split())
            raise LifecycleError(
                f"{name} cannot be copied from the remote {remote}: {type(error).__name__}: {reason}. Put it there, or "
                "correct TRAINING_SOURCE or TRAINING_DATA_REMOTE, and give this process access to it."
            ) from None


def remote_config(remote: str) -> dict[str, str]:
    """DVC's configuration of a remote: an object store's URL in MLflow's form, or a folder.

    DVC has a separate option for the storage account:
    https://doc.dvc.org/user-guide/data-management/remote-storage/azure-blob-storage
    """
    azure = _AZURE.fullmatch(remote)
    if azure:
        return {"url": f"azure://{azure['container']}/{azure['path']}", "account_name": azure["account"]}
    return {"url": remote if "://" in remote else str(Path(remote).resolve())}


@contextmanager
def _repository(remote: str) -> Iterator[Any]:
    from dvc.repo import Repo

    with tempfile.TemporaryDirectory() as folder:
        with Repo.init(folder, no_scm=True) as created, created.config.edit() as config:
            config["core"] = {"remote": "store", "analytics": False, "check_update": False, "no_scm": True}
            config["remote"]["store"] = remote_config(remote)
        with Repo(folder) as repository:
            yield repository


def _transfer(repository: Any, verb: str, table: Path, remote: str) -> None:
    """Push or pull. The clouds' clients raise exceptions of any type, so all are reported as errors of the remote."""
    try:
        getattr(repository, verb)(targets=[str(pointer_path(table))])
    except Exception as error:
        reason = " ".join(str(error).split())
        raise LifecycleError(
            f"DVC could not {verb} the data: the remote {remote} failed with {type(error).__name__}: {reason}. "
            "Set TRAINING_DATA_REMOTE to the remote of the data, and give this process access to it."
        ) from None
