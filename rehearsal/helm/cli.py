"""The Helm command line: one of version 3 on PATH, else built from its pinned Go module."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.toolchain import GO_MODULES, Tool

# Helm 4 renders and names things its own way, and the Release resource of pulumi-kubernetes has Helm 3 built in.
TOOL = Tool(
    name="helm",
    title="Helm",
    command="helm",
    version_arguments=("version", "--template", "{{.Version}}"),
    folder=GO_MODULES / "helm",
    module="helm.sh/helm/v3",
    package="helm.sh/helm/v3/cmd/helm",
    version_variable="helm.sh/helm/v3/internal/version.version",
    build_time="one minute",
    install_url="https://helm.sh/docs/intro/install/",
    minimum_version="3.17.0",
    below_version="4.0.0",
)


def helm() -> Path:
    """The `helm` to use; builds it first when there is none.

    Raises UserError when it can neither be found nor built.
    """
    return toolchain.ensure(TOOL)


class Unavailable(Exception):
    """Why there is no Helm on this machine, in one line."""


def ready() -> bool:
    """Make sure of Helm where that is possible; without it a rehearsal goes on, and says that no chart was rendered."""
    path, _ = _found()
    return path is not None


def run(arguments: Sequence[str], patience: float) -> subprocess.CompletedProcess[str]:
    """Run Helm, apart from whatever a person's own Helm knows.

    Raises Unavailable where there is no Helm, TimeoutExpired after `patience` seconds.
    """
    return subprocess.run(
        command(arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
    )


def command(arguments: Sequence[str]) -> list[str]:
    """The command line of a Helm apart from whatever a person's own Helm knows: repositories, plugins, credentials, a
    cluster.

    Raises Unavailable where there is no Helm.
    """
    path, reason = _found()
    if path is None:
        raise Unavailable(reason)
    home = toolchain.CACHE / "helm-home"
    folders = [f"HELM_{name}_HOME={home / name.lower()}" for name in ("CACHE", "CONFIG", "DATA")]
    persons = [option for key in os.environ if key.startswith(("HELM_", "KUBE")) for option in ("-u", key)]
    return ["env", *persons, *folders, str(path), *arguments]


def last_line(said: str) -> str:
    """The end of what Helm said, which is where it says why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")[:300] if lines else "Helm says nothing of why"


def complaint(said: str, longest: int) -> str:
    """All that Helm said of why, in one line of so many characters; empty when it named no error."""
    text = " ".join(re.split(r"^Error: ", said, maxsplit=1, flags=re.MULTILINE)[1:]).strip()
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest]}..."


@cache
def _found() -> tuple[Path | None, str]:
    """Once in a process: a build that failed would fail again, after minutes."""
    try:
        return helm(), ""
    except UserError as error:
        return None, f"there is no Helm: {str(error).splitlines()[0]}"
