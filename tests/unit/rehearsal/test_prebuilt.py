"""Downloads of published programs, from a local server.

Proves that only the pinned bytes are used, that an archive with several programs is downloaded once, and that a program
is built instead in every other case. Whether the vendors' hosts answer, and what is in their archives, is not tested.
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import tarfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal import go_build, prebuilt, toolchain
from rehearsal.engine import pulumi_cli
from rehearsal.helm import cli
from rehearsal.kubernetes.control_plane import programs
from rehearsal.scenarios.prometheus import ALERTMANAGER, AMTOOL, PROMETHEUS, PROMTOOL
from tests.support.waiting import eventually

_PLATFORM = f"{platform.system().lower()}-{platform.machine().lower()}"
_KUBERNETES = (programs.API_SERVER, programs.CONTROLLER_MANAGER, programs.SCHEDULER, programs.KUBECTL)
_TOOLS = (pulumi_cli.TOOL, cli.TOOL, *programs.TOOLS, PROMETHEUS, PROMTOOL, ALERTMANAGER, AMTOOL)


@dataclass
class Vendor:
    """A server with files. It sends the second half of each once it is `released`, but only up to `limit` bytes."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    limit: int | None = None
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            body = found.files.get(self.path, b"")
            self.send_response(200 if self.path in found.files else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            half = len(body) // 2
            self.wfile.write(body[:half])
            found.released.wait(timeout=30)
            self.wfile.write(body[half : found.limit])

        def log_message(self, *_arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found = Vendor(f"http://127.0.0.1:{http.server_port}")
        found.released.set()
        threading.Thread(target=partial(http.serve_forever, 0.01), daemon=True).start()
        yield found
        found.released.set()
        http.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache on a machine without programs, whose builds write `built` and are listed in the file `builds`."""
    folder = tmp_path / "cache"

    def build(tool: toolchain.Tool, target: Path, *_arguments: Any) -> None:
        target.write_text("built")
        with (tmp_path / "builds").open("a") as file:
            file.write(f"{tool.package}\n")

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(toolchain, "CACHE", folder)
    monkeypatch.setattr(toolchain, "PREBUILT", tmp_path / "prebuilt.yaml")
    monkeypatch.setattr(go_build, "build", build)
    return folder


def builds(cache: Path) -> list[str]:
    file = cache.with_name("builds")
    return file.read_text().split() if file.exists() else []


def pack(*members: str) -> bytes:
    """An archive in which each program contains its own path, beside a file that nobody wants."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("LICENSE", *members):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return packed.getvalue()


def catalogue(cache: Path, url: str, content: bytes, tools: Sequence[toolchain.Tool], **changes: Any) -> None:
    """Write a catalogue of one release, for this platform; `changes` replace fields of its download."""
    digest, members = hashlib.sha512(content).hexdigest(), [f"bin/{tool.command}" for tool in tools]
    fields = {"url": url, "sha512": digest, "members": members, **changes}
    entry = {key: value for key, value in fields.items() if value is not None}
    release = {"version": tools[0].version, "downloads": {_PLATFORM: entry}}
    cache.with_name("prebuilt.yaml").write_text(yaml.safe_dump({"release": release}))


def nothing_is_left(cache: Path) -> bool:
    """Whether the cache has no file of a download: neither whole nor in part."""
    written = {path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"}
    return all(path.read_bytes() == b"built" for path in written) and not list(cache.rglob("tmp*"))


def test_an_archive_for_several_commands_is_downloaded_once(cache: Path, vendor: Vendor) -> None:
    content = vendor.files["/kubernetes.tar.gz"] = pack(*(f"bin/{tool.command}" for tool in reversed(_KUBERNETES)))
    catalogue(cache, f"{vendor.url}/kubernetes.tar.gz", content, _KUBERNETES)
    paths = [toolchain.ensure(tool) for tool in _KUBERNETES]
    assert vendor.requests == ["/kubernetes.tar.gz"]
    assert [path.read_text() for path in paths] == [f"bin/{tool.command}" for tool in _KUBERNETES]
    assert all(path.stat().st_mode & 0o111 for path in paths)
    assert {path.name for path in paths[0].parent.iterdir()} == {tool.command for tool in _KUBERNETES}
    assert builds(cache) == []


def test_tools_in_several_threads_share_one_download(cache: Path, vendor: Vendor) -> None:
    tools = (PROMETHEUS, PROMTOOL)
    content = vendor.files["/archive"] = pack("bin/prometheus", "bin/promtool")
    catalogue(cache, f"{vendor.url}/archive", content, tools)
    vendor.released.clear()
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(toolchain.ensure, tool) for tool in tools]
        eventually(lambda: bool(vendor.requests), timeout=30)
        vendor.released.set()
        assert [each.result(timeout=30).read_text() for each in found] == ["bin/prometheus", "bin/promtool"]
    assert vendor.requests == ["/archive"]


def test_a_program_can_be_published_without_an_archive(cache: Path, vendor: Vendor) -> None:
    vendor.files["/kwok-linux-amd64"] = b"kwok itself"
    url = f"{vendor.url}/kwok-linux-amd64"
    catalogue(cache, url, b"kwok itself", [programs.KWOK], members=None, program="kwok")
    path = toolchain.ensure(programs.KWOK)
    assert (path.name, path.read_bytes()) == ("kwok", b"kwok itself")
    assert path.stat().st_mode & 0o111


def test_a_download_is_kept_until_another_one_is_pinned(cache: Path, vendor: Vendor) -> None:
    vendor.files["/helm"] = b"helm"
    catalogue(cache, f"{vendor.url}/helm", b"helm", [cli.TOOL], members=None, program="helm")
    first = toolchain.ensure(cli.TOOL)
    assert toolchain.ensure(cli.TOOL) == first
    assert vendor.requests == ["/helm"]
    vendor.files["/helm"] = b"other"
    catalogue(cache, f"{vendor.url}/helm", b"other", [cli.TOOL], members=None, program="helm")
    assert toolchain.ensure(cli.TOOL).read_bytes() == b"other"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_another_digest_is_rejected_and_the_program_built(
    cache: Path, vendor: Vendor, capsys: pytest.CaptureFixture[str], algorithm: str
) -> None:
    content = vendor.files["/archive"] = pack(*(f"bin/{tool.command}" for tool in _KUBERNETES))
    pinned = hashlib.new(algorithm, b"other").hexdigest()
    catalogue(cache, f"{vendor.url}/archive", content, _KUBERNETES, **{"sha512": None, algorithm: pinned})
    for tool in _KUBERNETES:
        assert toolchain.ensure(tool).read_text() == "built"
    received = hashlib.new(algorithm, content).hexdigest()
    message = f"{vendor.url}/archive is not used: its {algorithm} is {received}, and {pinned} is pinned."
    assert capsys.readouterr().err.count(message) == 1
    assert vendor.requests == ["/archive"], "a large archive is not downloaded again for each command"
    assert builds(cache) == ["."]
    assert nothing_is_left(cache)


def test_an_archive_without_the_program_is_not_used(
    cache: Path, vendor: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    content = vendor.files["/archive"] = pack(*(f"bin/{tool.command}" for tool in _KUBERNETES[:-1]))
    catalogue(cache, f"{vendor.url}/archive", content, _KUBERNETES)
    assert toolchain.ensure(programs.API_SERVER).read_text() == "built"
    assert f"{vendor.url}/archive is not used: it has no bin/kubectl." in capsys.readouterr().err
    assert nothing_is_left(cache)


def test_what_is_no_archive_is_not_used(cache: Path, vendor: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    content = vendor.files["/archive"] = b"<html>sign in</html>"
    catalogue(cache, f"{vendor.url}/archive", content, [cli.TOOL])
    assert toolchain.ensure(cli.TOOL).read_text() == "built"
    assert f"{vendor.url}/archive is not used: " in capsys.readouterr().err
    assert nothing_is_left(cache)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/archive", "{vendor.url}/missing"])
def test_a_host_that_does_not_deliver_is_no_error(
    cache: Path, vendor: Vendor, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    catalogue(cache, url.format(vendor=vendor), b"", [cli.TOOL])
    assert toolchain.ensure(cli.TOOL).read_text() == "built"
    assert capsys.readouterr().err == ""
    assert nothing_is_left(cache)


def test_a_download_that_breaks_off_leaves_nothing(cache: Path, vendor: Vendor) -> None:
    content = vendor.files["/archive"] = pack("bin/helm")
    vendor.limit = len(content) - 1
    catalogue(cache, f"{vendor.url}/archive", content, [cli.TOOL])
    assert toolchain.ensure(cli.TOOL).read_text() == "built"
    assert vendor.requests == ["/archive"]
    assert nothing_is_left(cache)


def test_a_download_ends_with_the_rehearsal(cache: Path, vendor: Vendor) -> None:
    content = vendor.files["/helm"] = bytes(4 << 20)
    vendor.released.clear()
    catalogue(cache, f"{vendor.url}/helm", content, [cli.TOOL], members=None, program="helm")
    with ThreadPoolExecutor() as pool:
        download = pool.submit(toolchain.ensure, cli.TOOL)
        eventually(lambda: bool(list(cache.rglob("download"))), timeout=30)
        with go_build.cancelling():
            vendor.released.set()
            with pytest.raises(go_build.BuildCancelledError):
                download.result(timeout=30)
    assert nothing_is_left(cache)
    assert builds(cache) == []


def test_only_the_version_in_go_mod_counts(cache: Path, vendor: Vendor) -> None:
    catalogue(cache, f"{vendor.url}/archive", b"", [cli.TOOL])
    assert prebuilt.find(toolchain.PREBUILT, "helm", cli.TOOL.version)
    assert prebuilt.find(toolchain.PREBUILT, "helm", "3.0.0") is None
    assert prebuilt.find(toolchain.PREBUILT, "other", cli.TOOL.version) is None


def test_another_platform_has_no_download(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue(cache, "http://127.0.0.1:9/archive", b"", [cli.TOOL])
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert prebuilt.find(toolchain.PREBUILT, "helm", cli.TOOL.version) is None


def test_what_has_no_download_is_built_without_the_rest(cache: Path, vendor: Vendor) -> None:
    content = vendor.files["/archive"] = pack(*(f"bin/{tool.command}" for tool in _KUBERNETES))
    catalogue(cache, f"{vendor.url}/archive", content, _KUBERNETES)
    for tool in programs.TOOLS:
        toolchain.ensure(tool)
    assert builds(cache) == [programs.ETCD.package, programs.KWOK.package]


# What follows is about the catalogue in the tree.

_RELEASES = yaml.safe_load((toolchain.ROOT / "third_party" / "prebuilt.yaml").read_text())


def downloadable(system: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The commands that can be downloaded on a platform."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    return {tool.command for tool in _TOOLS if prebuilt.find(toolchain.PREBUILT, tool.command, tool.version)}


def test_the_pinned_versions_are_those_of_go_mod() -> None:
    versions = {tool.command: tool.version for tool in _TOOLS}
    for name, release in _RELEASES.items():
        for entry in release["downloads"].values():
            commands = prebuilt._parse(name, entry).commands
            assert {versions[command] for command in commands} == {release["version"]}, name


def test_every_address_names_the_pinned_version() -> None:
    for name, release in _RELEASES.items():
        # Prometheus' module v0.314.0 is release 3.14.0.
        published = (
            re.sub(r"^0\.(\d)(\d\d)\.", r"\1.\2.", release["version"]) if name == "prometheus" else release["version"]
        )
        for entry in release["downloads"].values():
            assert f"v{published}" in entry["url"]
            assert entry["url"].startswith("https://")


def test_every_download_has_one_digest_of_the_right_length_and_programs() -> None:
    digests = []
    for release in _RELEASES.values():
        for entry in release["downloads"].values():
            assert len(entry.keys() & {"sha256", "sha512"}) == 1
            assert len(entry.keys() & {"members", "program"}) == 1
            download = prebuilt._parse("", entry)
            assert re.fullmatch(r"[0-9a-f]+", download.digest)
            assert len(download.digest) == 2 * hashlib.new(download.algorithm).digest_size
            digests.append(download.digest)
    assert len(set(digests)) == len(digests), "no digest was copied to another download"


@pytest.mark.parametrize(("system", "machine"), [("Linux", "x86_64"), ("Linux", "aarch64")])
def test_on_linux_all_published_programs_are_downloaded(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"kwok"} if machine == "aarch64" else set()
    assert downloadable(system, machine, monkeypatch) == {tool.command for tool in _TOOLS} - missing


def test_on_macos_the_control_plane_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    assert downloadable("Darwin", "arm64", monkeypatch) == {"helm", "kubectl", "prometheus", "promtool"}
