"""Backups of a stack: the database, its artifacts, the engine's state, and the deployed git revision.

Below `resilience.backupStore` each stack has a folder with `artifacts`, which grows, and `backups`, which has a folder
for each backup, named after the time of its content in UTC. The manifest is written last: a backup without one is
incomplete, and is ignored.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from operations.database import NAMESPACE, Rows, TableDigest, Version, find_database, list_differences
from operations.store import Store, find_artifacts, open_store
from operations.target import Target

SCHEMA = 1
_TIME = "%Y%m%dT%H%M%SZ"
_DUMP, _STATE, _MANIFEST = "database.dump", "state.json", "manifest.json"
_SCRATCH = "restore_test"
FOLDER = "backups"
# The ConfigMap's age is that of the newest backup: kube-state-metrics exposes the time at which it was created.
MARK = "last-backup"


@dataclass(frozen=True)
class Backup:
    """
    name      its time, as in the store
    root      URI below which the stack had its artifacts
    rows      row counts and digests of the database, keyed by table
    digests   digests of the models that have an alias, keyed by `<model>/<version>`
    revision  deployed revision of the GitOps repository; empty if there was none
    files     SHA-256 of each file
    """

    stack: str
    name: str
    root: str
    rows: Rows
    versions: list[Version]
    digests: Mapping[str, str]
    revision: str
    files: Mapping[str, str]

    @property
    def time(self) -> datetime:
        return datetime.strptime(self.name, _TIME).replace(tzinfo=UTC)

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Backup:
        """Raises DeployError if an incompatible version of this project wrote it."""
        content: dict[str, Any] = json.loads(text)
        schema = content.pop("schema", None)
        if schema != SCHEMA:
            raise DeployError(
                f"A backup's manifest has schema {schema}, but this version reads {SCHEMA}: use the version of the "
                "project that wrote it."
            )
        content["rows"] = {table: TableDigest(**each) for table, each in content["rows"].items()}
        content["versions"] = [Version(**each) for each in content["versions"]]
        return cls(**content)


def find_store(target: Target, stack: str = "") -> Store:
    """The folder of the backups of the target, or of another `stack`. Raises DeployError if the setting is missing."""
    url = target.settings.resilience.backup_store
    if not url:
        raise DeployError(
            f"{target.name} has no backup store: set groundwork:resilience.backupStore in "
            f"stacks/{target.stack.file.name} to a bucket or container in a region other than "
            f"{target.settings.location}; `make bootstrap` creates one."
        )
    return open_store(target, url).child(stack or target.name)


def create(target: Target) -> Backup:
    """Back the stack up; returns the backup. Raises DeployError if a part of it cannot be saved."""
    store, database = find_store(target), find_database(target)
    name = datetime.now(UTC).strftime(_TIME)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        state = export_state(target)
        if not has_resources(state):
            raise DeployError(
                f"The engine's state of {target.name} has no resources, and would replace a good one as the newest "
                f"backup: `make up STACK={target.name}`, or restore the state (platform/runbooks/failover.md)."
            )
        folder.joinpath(_STATE).write_text(state)
        rows = database.dump(folder / _DUMP)
        target.call("pg_restore", "--list", str(folder / _DUMP))  # fails if its table of contents cannot be read
        versions = database.list_versions()
        # After the database, so that every artifact that its rows refer to exists.
        find_artifacts(target).mirror(store.child("artifacts"))
        backup = Backup(
            target.name,
            name,
            database.root,
            rows,
            versions,
            digest_models(target, database.root, store.child("artifacts"), versions),
            _find_revision(target),
            {file: _digest_file(folder / file) for file in (_DUMP, _STATE)},
        )
        folder.joinpath(_MANIFEST).write_text(backup.to_json())
        for file in (_DUMP, _STATE, _MANIFEST):
            store.upload(folder / file, f"{FOLDER}/{name}/{file}")
    _mark(target, name)
    return backup


def find_newest(store: Store) -> Backup | None:
    """The newest complete backup; None if there is none."""
    names = store.child(FOLDER).list_names(f"/{_MANIFEST}")
    if not names:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, _MANIFEST)
        store.download(f"{FOLDER}/{names[-1]}", file)
        return Backup.from_json(file.read_text())


def require_newest(store: Store) -> Backup:
    backup = find_newest(store)
    if backup is None:
        raise DeployError(f"There is no backup in {store.url}. `make backup` creates one while the stack is deployed.")
    return backup


def fetch(store: Store, backup: Backup, file: str, folder: Path) -> Path:
    """Download a file of a backup. Raises DeployError if it is not what was stored."""
    path = folder / file
    store.download(f"{FOLDER}/{backup.name}/{file}", path)
    if _digest_file(path) != backup.files[file]:
        raise DeployError(
            f"{file} of the backup {backup.name} in {store.url} is damaged: its digest is not the one in the manifest. "
            "Restore an older version of the file, or remove the backup's folder to use the previous backup."
        )
    return path


def fetch_dump(store: Store, backup: Backup, folder: Path) -> Path:
    return fetch(store, backup, _DUMP, folder)


def fetch_state(store: Store, backup: Backup, folder: Path) -> Path:
    return fetch(store, backup, _STATE, folder)


def try_restore(target: Target) -> Backup:
    """Restore the newest backup into a scratch database, and compare all rows.

    Raises DeployError if they differ from those that were backed up.
    """
    store, database = find_store(target), find_database(target)
    backup = require_newest(store)
    with tempfile.TemporaryDirectory() as scratch:
        dump = fetch_dump(store, backup, Path(scratch))
        restored = database.create_scratch(_SCRATCH)
        try:
            restored.restore(dump)
            differences = list_differences(backup.rows, restored.read_rows())
        finally:
            database.drop(_SCRATCH)
    if differences:
        raise DeployError(f"The backup {backup.name} does not restore to what was backed up: {'; '.join(differences)}.")
    return backup


def digest_models(target: Target, root: str, artifacts: Store, versions: list[Version]) -> dict[str, str]:
    """The digest of the files of each version that has an alias, keyed by `<model>/<version>`.

    `artifacts` is the store that has the files below `root`.
    """
    digests = {}
    for version in versions:
        if version.aliases and version.location.startswith(root):
            place = artifacts.child(version.location.removeprefix(root).strip("/"))
            with tempfile.TemporaryDirectory() as scratch:
                place.mirror(open_store(target, f"file://{scratch}"))
                digests[f"{version.model}/{version.number}"] = _digest_folder(Path(scratch))
    return digests


def export_state(target: Target) -> str:
    """The engine's state of the stack, with its secrets encrypted as in the backend."""
    return target.call("pulumi", "stack", "export", "--stack", target.name, "--non-interactive")


def has_resources(state: str) -> bool:
    """Whether an export of the engine's state contains any resource."""
    return bool((json.loads(state).get("deployment") or {}).get("resources"))


def _find_revision(target: Target) -> str:
    answer = target.ask_kubectl(
        "get",
        "applications.argoproj.io",
        "models",
        "--namespace",
        "argocd",
        "--output",
        "jsonpath={.status.sync.revision}",
    )
    return answer.output.strip() if answer.code == 0 else ""


def _mark(target: Target, name: str) -> None:
    """Recreate the mark, since its age is what is measured."""
    target.kubectl("delete", "configmap", MARK, "--namespace", NAMESPACE, "--ignore-not-found")
    target.kubectl("create", "configmap", MARK, "--namespace", NAMESPACE, f"--from-literal=backup={name}")


def _digest_file(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _digest_folder(folder: Path) -> str:
    """The digest of the names and contents of all files; empty if there are no files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder)} {_digest_file(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""
