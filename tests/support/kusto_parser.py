"""Microsoft's parser of KQL, from its npm package: version and digest are pinned beside check.js. Proves nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rehearsal.toolchain import CACHE

_FOLDER = Path(__file__).parent / "kusto"
_PINS = ("package.json", "package-lock.json")
_SECONDS = 300


@dataclass(frozen=True)
class Analysis:
    """The errors of a query, and the tables and columns (`<table>.<column>`) that it names."""

    errors: list[str]
    tables: list[str]
    columns: list[str]


def analyse(queries: Mapping[str, str], tables: Mapping[str, Mapping[str, str]]) -> Mapping[str, Analysis]:
    """Parse queries, keyed by name, against tables with typed columns; skips if the parser is not available."""
    content = json.dumps({"modules": str(_require_modules()), "tables": tables, "queries": queries})
    reply = subprocess.run(
        ["node", _FOLDER / "check.js"], input=content, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    assert reply.returncode == 0, reply.stderr
    return {name: Analysis(**found) for name, found in json.loads(reply.stdout).items()}


def _require_modules() -> Path:
    """The folder of the package's pinned version, which is downloaded once."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("KQL is parsed by Microsoft's parser, which runs on Node.js: node and npm are not installed")
    digest = hashlib.sha256(b"".join((_FOLDER / name).read_bytes() for name in _PINS)).hexdigest()[:12]
    folder = CACHE / "tests" / f"kusto-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".done"
        if not done.exists():
            _download(folder)
            done.touch()
    return folder / "node_modules"


def _download(folder: Path) -> None:
    for name in _PINS:
        shutil.copy(_FOLDER / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        reply = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the parser of KQL could not be downloaded within {_SECONDS} s")
    if reply.returncode:
        pytest.skip(f"the parser of KQL could not be downloaded: {reply.stderr.strip().splitlines()[-1:]}")
