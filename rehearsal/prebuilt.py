"""Downloads programs that their vendors publish, and accepts them only with the pinned digest.

If the vendor's host is not reachable, or nothing is published for the platform, the program is built instead.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import requests
import yaml

from rehearsal import go_build
from rehearsal.console import Progress, info

_CONNECT = 3  # seconds: a network that drops all packets must not delay the build
_READ = 30  # seconds without a byte
_CHUNK = 1 << 20

_ALGORITHMS = ("sha256", "sha512")


@dataclass(frozen=True)
class Download:
    """A file that a vendor publishes for this platform: an archive with programs, or a program.

    name       name and version: `kubernetes-1.33.13`
    url        where it is published
    algorithm  `sha256` or `sha512`
    digest     the file's digest in hexadecimal
    members    paths of the programs in the archive; empty if the file is a program
    commands   names of the programs, which are those of the members
    """

    name: str
    url: str
    algorithm: str
    digest: str
    members: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Name of the folder for the programs; another digest has another folder."""
        return f"{self.name}-{self.digest[:12]}"


def find(catalogue: Path, command: str, version: str) -> Download | None:
    """The download that has the program in this version, for this platform; None if the catalogue has none.

    `catalogue` lists releases by name: the `version` and, for each platform such as `linux-x86_64`, the `url`, either
    `sha256` or `sha512`, and either `members`, which are paths in the archive, or `program`, the name of the only one.
    """
    this = f"{platform.system().lower()}-{platform.machine().lower()}"
    for name, release in _releases(catalogue.read_text()).items():
        entry = release["downloads"].get(this)
        if entry and release["version"] == version:
            found = _parse(f"{name}-{version}", entry)
            if command in found.commands:
                return found
    return None


@cache
def _releases(text: str) -> Mapping[str, Any]:
    return yaml.safe_load(text) or {}


def _parse(name: str, entry: Mapping[str, Any]) -> Download:
    (algorithm,) = (each for each in _ALGORITHMS if each in entry)
    members = tuple(entry.get("members", ()))
    commands = tuple(PurePosixPath(member).name for member in members) or (entry["program"],)
    return Download(name, entry["url"], algorithm, entry[algorithm], members, commands)


def download(wanted: Download, folder: Path, position: str = "") -> bool:
    """Download the programs into `folder`, which appears only when they are complete and verified; False if it cannot.

    `position` is the position of this download among all builds and downloads, such as `2 of 4`.

    Raises BuildCancelledError if the rehearsal ends before the download does.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        file, programs = Path(scratch) / "download", Path(scratch) / "programs"
        programs.mkdir()
        try:
            _fetch(wanted, file, position)
            _unpack(wanted, file, programs)
            programs.rename(folder)
        except requests.RequestException:
            return False
        except (_UnusableError, OSError, tarfile.TarError) as error:
            info(f"{wanted.url} is not used: {error}.")
            return False
    return True


class _UnusableError(Exception):
    """What was downloaded is not what the catalogue says; the message says what differs."""


def _fetch(wanted: Download, target: Path, position: str) -> None:
    """Download to a file, and verify its digest.

    Raises RequestException, OSError, _UnusableError and BuildCancelledError.
    """
    digest = hashlib.new(wanted.algorithm)
    label = f"{position}: downloading {wanted.name}" if position else f"downloading {wanted.name}"
    headers = {"Accept-Encoding": "identity"}  # the digest is that of the file as it is published
    reply = requests.get(wanted.url, headers=headers, stream=True, timeout=(_CONNECT, _READ))
    with reply, target.open("wb") as file:
        reply.raise_for_status()
        with Progress(label, int(reply.headers.get("Content-Length", 0)) // _CHUNK) as progress:
            for chunk in reply.iter_content(_CHUNK):
                if go_build.is_cancelled():
                    raise go_build.BuildCancelledError(wanted.name)
                file.write(chunk)
                digest.update(chunk)
                progress.step()
    if digest.hexdigest() != wanted.digest:
        raise _UnusableError(f"its {wanted.algorithm} is {digest.hexdigest()}, and {wanted.digest} is pinned")


def _unpack(wanted: Download, file: Path, folder: Path) -> None:
    """Put the programs into `folder`, in one pass over the archive. Raises OSError, TarError, _UnusableError."""
    if wanted.members:
        missing = set(wanted.members)
        with tarfile.open(file, "r|*") as archive:
            for member in archive:
                if member.name in missing and (source := archive.extractfile(member)):
                    with (folder / PurePosixPath(member.name).name).open("wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
                    missing.remove(member.name)
                if not missing:
                    break
        if missing:
            raise _UnusableError(f"it has no {', '.join(sorted(missing))}")
    else:
        file.rename(folder / wanted.commands[0])
    for program in folder.iterdir():
        program.chmod(0o755)
