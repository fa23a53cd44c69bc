"""Command-line programs that a rehearsal runs: from PATH at an acceptable version, else downloaded, else built.

Downloaded and built programs go into the user's cache, once for all clones. An executable appears under its name only
when it is complete. An archive with several programs is downloaded once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from rehearsal import go_build, prebuilt
from rehearsal.build_plan import PLAN
from rehearsal.console import UserError
from rehearsal.go_build import BuildCancelledError
from rehearsal.prebuilt import Download

ROOT = Path(__file__).resolve().parents[1]
GO_MODULES = ROOT / "third_party" / "go"
PREBUILT = ROOT / "third_party" / "prebuilt.yaml"


def cache_folder() -> Path:
    """The folder of this user's programs.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/, by which a relative path is ignored.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "groundwork"


CACHE = cache_folder()

REHEARSAL_MARK = ".rehearsal"
"""A file that marks a folder of programs as a rehearsal's."""


@dataclass(frozen=True)
class Tool:
    """A command-line program and the Go module it is built from.

    name               folder in the cache; programs that share an executable share the name
    title              the program's name in a sentence
    command            the binary's name
    version_arguments  arguments that make the binary print its version
    folder             folder of go.mod, go.sum, Go sources and `stubs`
    module             Go module whose version in go.mod is the program's version
    package            Go package to build
    version_variables  Go variables that the linker sets to a module's version, by variable
    build_minutes      minutes that a first build takes on two cores
    install_url        installation instructions
    executable         name of an executable that serves several commands, depending on the name it is called by
    minimum_version    oldest acceptable version on PATH; empty: the version in go.mod
    below_version      first version on PATH that is too new; empty: none
    tags               Go build constraints that leave out what a rehearsal does not use
    """

    name: str
    title: str
    command: str
    version_arguments: Sequence[str]
    folder: Path
    module: str
    package: str
    build_minutes: int
    install_url: str
    version_variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    executable: str = ""
    minimum_version: str = ""
    below_version: str = ""
    tags: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version in go.mod: `3.255.0`."""
        return self._pinned_version(self.module)

    @property
    def binary(self) -> Path:
        """Path of the program in the cache if it is built."""
        return CACHE / "tools" / f"{self.name}-{self._digest}" / self.command

    @property
    def linker_flags(self) -> str:
        """Flags that leave out debug information and set the versions."""
        pairs = self.version_variables.items()
        return " ".join(["-s -w", *(f"-X {name}=v{self._pinned_version(module)}" for name, module in pairs)])

    def is_acceptable(self, version: str) -> bool:
        """Whether a program on PATH that prints this version can be used."""
        found = re.search(r"\bv?(\d+\.\d+\.\d+)", version)
        if found is None:
            return False
        number = _number(found[1])
        below = not self.below_version or number < _number(self.below_version)
        return below and number >= _number(self.minimum_version or self.version)

    def _pinned_version(self, module: str) -> str:
        path = self.folder / "go.mod"
        found = re.search(rf"^(?:require)?\s*{re.escape(module)} v([\d.]+)", path.read_text(), re.MULTILINE)
        if found is None:
            raise UserError(f"{path} does not require {module}.")
        return found[1]

    @cached_property
    def _digest(self) -> str:
        """Digest of everything that affects the build, so that an outdated program is never used."""
        digest = hashlib.sha256(repr((self.package, self.tags)).encode())
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                digest.update(f"\0{path.relative_to(self.folder)}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:12]


def search_path(environment: Mapping[str, str]) -> str:
    """PATH without the folders of rehearsals' own programs, which only call the programs looked for here."""
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not (Path(folder) / REHEARSAL_MARK).exists())


def installed(tool: Tool) -> Path | None:
    """The program on this machine: on PATH at an acceptable version, or in the cache."""
    on_path = shutil.which(tool.command, path=search_path(os.environ))
    if on_path and tool.is_acceptable(_read_version(on_path, tool.version_arguments)):
        return Path(on_path)
    return _cached(tool)


def _cached(tool: Tool) -> Path | None:
    """The program in the cache, downloaded or built."""
    published = prebuilt.find(PREBUILT, tool.command, tool.version)
    paths = [_download_folder(published) / tool.command] if published else []
    return next((path for path in (*paths, tool.binary) if path.exists()), None)


def _download_folder(published: Download) -> Path:
    return CACHE / "tools" / published.folder


def _read_version(program: str, arguments: Sequence[str]) -> str:
    """The version that a program prints; empty if it does not run here, for example on another architecture."""
    try:
        reply = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return reply.stdout


def announce_builds(tools: Iterable[Tool]) -> None:
    """Print which of these programs are neither installed nor in the cache yet."""
    PLAN.announce(tool for tool in tools if _cached(tool) is None and installed(tool) is None)


def ensure(tool: Tool) -> Path:
    """The program to use; downloads or builds it if it is not installed.

    Raises UserError if it can be neither found, downloaded nor built.
    """
    found = installed(tool)
    if found:
        return found
    with _lock(tool.name, tool.title):
        return _cached(tool) or _share_executable(tool) or _download_or_build(tool)


def _share_executable(tool: Tool) -> Path | None:
    """The program, if its executable was built for another command."""
    executable = _executable(tool)
    if executable == tool.binary or not executable.exists():
        return None
    tool.binary.symlink_to(executable.name)
    return tool.binary


def _executable(tool: Tool) -> Path:
    """Path of the executable that a build makes."""
    return tool.binary.with_name(tool.executable or tool.command)


def _download_or_build(tool: Tool) -> Path:
    position = PLAN.start(tool)
    published = prebuilt.find(PREBUILT, tool.command, tool.version)
    if published:
        folder = _download_folder(published)
        with _lock(published.name, tool.title):  # another tool may be waiting for the same archive
            if folder.exists() or prebuilt.download(published, folder, position):
                return folder / tool.command
    executable = _executable(tool)
    executable.parent.mkdir(parents=True, exist_ok=True)
    go_build.build(tool, executable, CACHE, position)
    return _share_executable(tool) or executable


@contextmanager
def _lock(name: str, title: str) -> Iterator[None]:
    """Allow one build or download of this name at a time.

    Raises BuildCancelledError with the title if the rehearsal ends while this waits for another one.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = FileLock(CACHE / f"{name}.lock", fallback_to_soft=False)
    try:
        lock.acquire(cancel_check=go_build.is_cancelled)
    except Timeout:
        raise BuildCancelledError(title) from None
    try:
        yield
    finally:
        lock.release()


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def concurrent_builds(limit: int) -> int:
    """The number of builds to run at once: on a small machine, more would only compete for cores and memory."""
    return max(1, min(limit, (os.cpu_count() or 1) // go_build.CORES, go_build.memory() // go_build.MEMORY))
