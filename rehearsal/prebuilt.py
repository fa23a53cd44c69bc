"""Downloads programs that their vendors publish, and accepts them only with the pinned SHA-256.

If the vendor's host is not reachable, or no archive exists for the platform, the program is built instead.
"""

from __future__ import annotations

import hashlib
import platform
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from rehearsal.console import Progress, info

_CONNECT = 3  # seconds: a network that drops all packets must not delay the build
_READ = 30  # seconds without a byte
_CHUNK = 1 << 20


def download(catalogue: Path, command: str, version: str, target: Path) -> bool:
    """Download a program to `target`, where it appears only when it is complete and verified; False if it cannot.

    `catalogue` lists archives by command: the version and, for each platform such as `linux-x86_64`, the archive's
    `url`, the `member` that is the program, and `sha256`. An entry for another version is ignored.
    """
    entry: Mapping[str, Any] = (yaml.safe_load(catalogue.read_text()) or {}).get(command, {})
    archive = entry.get("archives", {}).get(f"{platform.system().lower()}-{platform.machine().lower()}")
    if entry.get("version") != version or archive is None:
        return False
    url = archive["url"]
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        packed = Path(scratch) / "archive"
        try:
            digest = _fetch(url, packed, f"downloading {command} {version}")
        except requests.RequestException:
            return False
        if digest != archive["sha256"]:
            info(
                f"{url} is not the archive that {catalogue.name} pins (SHA-256 {digest} instead of "
                f"{archive['sha256']}), so it is not used."
            )
            return False
        unfinished = Path(scratch) / command
        with tarfile.open(packed) as members, unfinished.open("wb") as file:
            source = members.extractfile(archive["member"])
            while source and (chunk := source.read(_CHUNK)):
                file.write(chunk)
        unfinished.chmod(0o755)
        unfinished.rename(target)
    return True


def _fetch(url: str, target: Path, label: str) -> str:
    """Download to a file and return its SHA-256 in hexadecimal. Raises RequestException."""
    digest = hashlib.sha256()
    with requests.get(url, stream=True, timeout=(_CONNECT, _READ)) as reply, target.open("wb") as file:
        reply.raise_for_status()
        with Progress(label, int(reply.headers.get("Content-Length", 0)) // _CHUNK) as progress:
            for chunk in reply.iter_content(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                progress.step()
    return digest.hexdigest()
