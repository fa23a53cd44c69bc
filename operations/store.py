"""File stores: a bucket, a container of Azure Blob Storage, or a folder, accessed with the clouds' own programs."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError
from operations.target import Target

FORMS = "s3://<bucket>/<folder>, https://<account>.blob.core.windows.net/<container>/<folder> or file:///<folder>"
_BLOB = re.compile(r"https://([a-z0-9]{3,24})\.blob\.core\.windows\.net/([^/]+)(?:/(.*))?")
# MLflow's form for containers: wasbs://<container>@<account>.blob.core.windows.net/<folder>
_WASBS = re.compile(r"wasbs://([^@]+)@([a-z0-9]{3,24}\.blob\.core\.windows\.net)/?(.*)")


@dataclass(frozen=True)
class Store:
    """
    target  the stack whose programs and identity access the store
    url     in one of FORMS
    """

    target: Target
    url: str

    def child(self, name: str) -> Store:
        return Store(self.target, f"{self.url.rstrip('/')}/{name}")

    def upload(self, file: Path, name: str) -> None:
        """Raises DeployError with the cloud's message if the file cannot be written."""
        if self._is_s3:
            self.target.call("aws", "s3", "cp", "--only-show-errors", str(file), f"{self.url}/{name}")
        elif self._folder:
            place = self._folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        else:
            self._call_blob("upload", "--file", str(file), "--name", self._blob_name(name), "--overwrite", "true")

    def download(self, name: str, file: Path) -> None:
        if self._is_s3:
            self.target.call("aws", "s3", "cp", "--only-show-errors", f"{self.url}/{name}", str(file))
        elif self._folder:
            if not (self._folder / name).is_file():
                raise DeployError(f"{self._folder / name} does not exist.")
            shutil.copy(self._folder / name, file)
        else:
            self._call_blob("download", "--file", str(file), "--name", self._blob_name(name))

    def list_names(self, suffix: str) -> list[str]:
        """The names in the store that end in `suffix`, sorted; empty if the store does not exist."""
        if self._is_s3:
            bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
            query = ["--query", "Contents[].Key", "--output", "json", "--prefix", f"{prefix}/"]
            text = self.target.call("aws", "s3api", "list-objects-v2", "--bucket", bucket, *query)
            start = f"{prefix}/"
        elif self._folder:
            return sorted(
                str(path.relative_to(self._folder)) for path in self._folder.rglob(f"*{suffix}") if path.is_file()
            )
        else:
            start = self._blob_name("")
            text = self._call_blob("list", "--prefix", start, "--query", "[].name", "--output", "json")
        names = json.loads(text) or [] if text.strip() else []
        return sorted(name.removeprefix(start) for name in names if name.endswith(suffix))

    def mirror(self, other: Store) -> None:
        """Copy new and changed files to another store; files that were deleted here stay there."""
        if self._folder and other._folder:
            other._folder.mkdir(parents=True, exist_ok=True)
            if self._folder.is_dir():  # for a bucket without objects there is no folder
                shutil.copytree(self._folder, other._folder, dirs_exist_ok=True)
        elif self._is_s3 or other._is_s3:
            self.target.call("aws", "s3", "sync", "--only-show-errors", self._argument, other._argument)
        else:
            self.target.call(
                "azcopy", "sync", self._argument, other._argument, "--recursive=true", AZCOPY_AUTO_LOGIN_TYPE="AZCLI"
            )

    @property
    def _is_s3(self) -> bool:
        return self.url.startswith("s3://")

    @property
    def _folder(self) -> Path | None:
        return Path(self.url.removeprefix("file://")) if self.url.startswith("file:///") else None

    @property
    def _argument(self) -> str:
        return str(self._folder) if self._folder else self.url

    def _blob_name(self, name: str) -> str:
        found = _BLOB.fullmatch(self.url)
        folder = (found[3] or "").rstrip("/") if found else ""
        return f"{folder}/{name}" if folder else name

    def _call_blob(self, *arguments: str) -> str:
        found = _BLOB.fullmatch(self.url)
        if not found:
            raise DeployError(f"'{self.url}' is not a store for files: it has to be {FORMS}.")
        place = ["--account-name", found[1], "--container-name", found[2], "--auth-mode", "login", "--only-show-errors"]
        action, *rest = arguments
        return self.target.call("az", "storage", "blob", action, *rest, *place)


def find_artifacts(target: Target) -> Store:
    """The store of the stack's models and runs."""
    return open_store(target, target.get_output("artifacts"))


def open_store(target: Target, url: str) -> Store:
    """Raises DeployError if the URL is not in one of FORMS."""
    url = url.rstrip("/")
    if found := _WASBS.fullmatch(url):
        url = f"https://{found[2]}/{found[1]}/{found[3]}".rstrip("/")
    if not (url.startswith(("s3://", "file:///")) or _BLOB.fullmatch(url)):
        raise DeployError(f"'{url}' is not a store for files: it has to be {FORMS}.")
    return Store(target, url)
