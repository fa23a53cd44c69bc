"""The Helm command line: one of version 3 on PATH, else downloaded, else built from its pinned Go module."""

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

# By default Helm sends an API server 5 requests a second after the first 100. The rehearsal's API server has few other
# clients, and kube-prometheus-stack takes some 300 (https://helm.sh/docs/helm/helm/, HELM_QPS and HELM_BURST_LIMIT).
_RATE_LIMITS = ("HELM_QPS=500", "HELM_BURST_LIMIT=1000")

# Helm 4 renders and names objects differently, and the Release resource of pulumi-kubernetes has Helm 3 built in.
TOOL = Tool(
    name="helm",
    title="Helm",
    command="helm",
    version_arguments=("version", "--template", "{{.Version}}"),
    folder=GO_MODULES / "helm",
    module="helm.sh/helm/v3",
    package="helm.sh/helm/v3/cmd/helm",
    version_variables={"helm.sh/helm/v3/internal/version.version": "helm.sh/helm/v3"},
    build_minutes=1,
    install_url="https://helm.sh/docs/intro/install/",
    minimum_version="3.17.0",
    below_version="4.0.0",
)


class HelmUnavailableError(Exception):
    """Helm is not available on this machine; the message is the reason, in one line."""


def ensure_helm() -> Path:
    """The path of the `helm` binary, built first if none is installed.

    Raises UserError if it can be neither found nor built.
    """
    return toolchain.ensure(TOOL)


def is_available() -> bool:
    """Whether Helm can be used; builds it if needed. Without it a rehearsal reports its charts as not rendered."""
    path, _ = _locate()
    return path is not None


def run(arguments: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run Helm, isolated from the user's own Helm configuration.

    Raises HelmUnavailableError if there is no Helm, and subprocess.TimeoutExpired after `timeout` seconds.
    """
    return subprocess.run(
        build_command(arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def build_command(arguments: Sequence[str]) -> list[str]:
    """The command line of Helm, isolated from the user's repositories, plugins, credentials and clusters.

    Raises HelmUnavailableError if there is no Helm.
    """
    path, reason = _locate()
    if path is None:
        raise HelmUnavailableError(reason)
    home = toolchain.CACHE / "helm-home"
    folders = [f"HELM_{name}_HOME={home / name.lower()}" for name in ("CACHE", "CONFIG", "DATA")]
    inherited = [option for key in os.environ if key.startswith(("HELM_", "KUBE")) for option in ("-u", key)]
    return ["env", *inherited, *folders, *_RATE_LIMITS, str(path), *arguments]


def last_line(output: str) -> str:
    """The last line of Helm's output, which states the cause of a failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")[:300] if lines else "Helm printed no reason"


def error_message(output: str, max_length: int) -> str:
    """Helm's error message on one line, shortened to `max_length` characters; empty if it printed no error."""
    text = " ".join(re.split(r"^Error: ", output, maxsplit=1, flags=re.MULTILINE)[1:])
    return shorten(text, max_length)


def shorten(text: str, max_length: int) -> str:
    """`text` on one line of at most `max_length` characters and an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= max_length else f"{line[:max_length]}..."


@cache
def _locate() -> tuple[Path | None, str]:
    """The binary, or the reason why there is none. Cached, since a failed build would fail again after minutes."""
    try:
        return ensure_helm(), ""
    except UserError as error:
        return None, f"Helm is not available: {str(error).splitlines()[0]}"
