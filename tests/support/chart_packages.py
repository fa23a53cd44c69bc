"""Small chart packages for tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

VERSION = "1.0.0"


def package(folder: Path, name: str, templates: Mapping[str, str], values: str = "") -> Path:
    """Write the package `<name>-1.0.0.tgz` with templates, keyed by file name, and the text of values.yaml."""
    files = {"Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {VERSION}\n"}
    files |= {"values.yaml": values} if values else {}
    files |= {f"templates/{file}": text for file, text in templates.items()}
    return write(folder / f"{name}-{VERSION}.tgz", {f"{name}/{file}": text for file, text in files.items()})


def write(path: Path, files: Mapping[str, str]) -> Path:
    """Write a package with these files, keyed by path in the package; returns its path."""
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path
