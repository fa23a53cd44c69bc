"""Versions of the data, kept by DVC: a version is the content's hash, and the remote holds what it stands for.

The repository is made anew each time, without Git: its history is MLflow's runs, each of which keeps the pointer file
(`table.csv.dvc`) that `dvc pull` needs in any folder with the same remote.
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

from lifecycle.contract import LifecycleError

_HASH = re.compile(r"[0-9a-f]{32}")
_AZURE = re.compile(r"(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[^./]+)\.[^/]+/?(?P<path>.*)")


def pointer(table: Path) -> Path:
    """Where `record` writes DVC's pointer to a table: beside it."""
    return table.with_name(f"{table.name}.dvc")


def record(table: Path, remote: str) -> str:
    """Put a file under DVC and push it; returns the version, an MD5 in hex. The pointer file is left beside the table.

    Raises LifecycleError when the remote refuses.
    """
    with _repository(remote) as repository:
        copy = Path(repository.root_dir, table.name)
        shutil.copy(table, copy)
        repository.add(str(copy))
        _transfer(repository, "push", copy, remote)
        shutil.copy(pointer(copy), pointer(table))
    recorded = yaml.safe_load(pointer(table).read_text())
    return str(recorded["outs"][0]["md5"])


def fetch(version: str, table: Path, remote: str) -> None:
    """Bring a version from the remote to the file `table`, its pointer beside it.

    Raises LifecycleError when it is no hash, or the remote does not have it.
    """
    if not _HASH.fullmatch(version):
        raise LifecycleError(f"{version!r} is no version of data: it takes the 32 hexadecimal digits of DVC's hash.")
    with _repository(remote) as repository:
        copy = Path(repository.root_dir, table.name)
        pointer(copy).write_text(yaml.safe_dump({"outs": [{"md5": version, "hash": "md5", "path": table.name}]}))
        _transfer(repository, "pull", copy, remote)
        shutil.copy(copy, table)
        shutil.copy(pointer(copy), pointer(table))


def location(remote: str) -> dict[str, str]:
    """DVC's settings of a remote: the object store's address as MLflow writes it, or a folder.

    DVC wants the storage account apart from the address:
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
        with Repo.init(folder, no_scm=True) as fresh, fresh.config.edit() as config:
            config["core"] = {"remote": "store", "analytics": False, "check_update": False, "no_scm": True}
            config["remote"]["store"] = location(remote)
        with Repo(folder) as repository:
            yield repository


def _transfer(repository: Any, verb: str, table: Path, remote: str) -> None:
    """Push or pull. Whatever goes wrong in a cloud's client comes up here, so all of it is the remote's answer."""
    try:
        getattr(repository, verb)(targets=[str(pointer(table))])
    except Exception as error:
        reason = " ".join(str(error).split())
        raise LifecycleError(
            f"DVC could not {verb} the data: the remote {remote} says {type(error).__name__}: {reason}. "
            "Set TRAINING_DATA_REMOTE to the place of the data's versions; this process needs access to it."
        ) from None
