"""Downloads of published programs, from a local server.

Proves that only the pinned bytes are used, and that the program is built instead in every other case. Whether the
vendors' hosts answer is not tested.
"""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from rehearsal import prebuilt, toolchain
from rehearsal.engine import pulumi_cli
from rehearsal.helm import cli

_PROGRAM = b"#!/bin/sh\necho v1.2.3\n"
_PLATFORM = f"{platform.system().lower()}-{platform.machine().lower()}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves an archive with the program `tool/tool`; gives the archive's URL."""
    folder = tmp_path / "served"
    folder.mkdir()
    with tarfile.open(folder / "tool.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("tool/tool")
        member.size = len(_PROGRAM)
        archive.addfile(member, io.BytesIO(_PROGRAM))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/tool.tar.gz"
        http.shutdown()


def catalogue(folder: Path, url: str, **changes: str) -> Path:
    """A catalogue of one program; `changes` replace fields of its archive."""
    content = (folder / "served" / "tool.tar.gz").read_bytes()
    archive = {"url": url, "member": "tool/tool", "sha256": hashlib.sha256(content).hexdigest(), **changes}
    path = folder / "prebuilt.yaml"
    path.write_text(yaml.safe_dump({"tool": {"version": "1.2.3", "archives": {_PLATFORM: archive}}}))
    return path


def downloaded(folder: Path, pins: Path, command: str = "tool", version: str = "1.2.3") -> bool:
    target = folder / "cache" / "tool"
    target.parent.mkdir()
    found = prebuilt.download(pins, command, version, target)
    assert found == target.exists(), "a program exists as a whole, or not at all"
    assert list(target.parent.iterdir()) == ([target] if found else []), "nothing else is left"
    return found


def test_the_program_of_a_pinned_archive_is_used(tmp_path: Path, server: str) -> None:
    assert downloaded(tmp_path, catalogue(tmp_path, server))
    program = tmp_path / "cache" / "tool"
    assert program.read_bytes() == _PROGRAM
    assert program.stat().st_mode & 0o111


def test_an_archive_with_another_digest_is_not_used(
    tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not downloaded(tmp_path, catalogue(tmp_path, server, sha256="0" * 64))
    assert "is not the archive that prebuilt.yaml pins" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/tool.tar.gz", "{server}.missing"])
def test_an_archive_that_cannot_be_fetched_is_not_an_error(tmp_path: Path, server: str, url: str) -> None:
    assert not downloaded(tmp_path, catalogue(tmp_path, url.format(server=server)))


@pytest.mark.parametrize("wanted", [{"version": "1.2.4"}, {"command": "other"}])
def test_only_the_version_in_go_mod_counts(tmp_path: Path, server: str, wanted: Mapping[str, str]) -> None:
    assert not downloaded(tmp_path, catalogue(tmp_path, server), **wanted)


def test_the_pinned_versions_are_those_of_go_mod() -> None:
    pins = yaml.safe_load(toolchain.PREBUILT.read_text())
    assert {command: pin["version"] for command, pin in pins.items()} == {
        "pulumi": pulumi_cli.pinned_version(),
        "helm": cli.TOOL.version,
    }
