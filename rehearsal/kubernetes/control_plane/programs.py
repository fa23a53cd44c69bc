"""The control plane's programs: from PATH at an acceptable version, else built from pinned Go modules.

They are built as one executable that acts by the name it is called by, so their common code is compiled once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.toolchain import GO_MODULES, Tool

_ETCD = "go.etcd.io/etcd/server/v3"
_KUBERNETES = "k8s.io/kubernetes"
_KWOK = "sigs.k8s.io/kwok"


def _tool(
    command: str,
    module: str,
    install_url: str,
    minimum_version: str = "",
    below_version: str = "",
    version_arguments: Sequence[str] = ("--version",),
) -> Tool:
    return Tool(
        name="control-plane",
        title="the Kubernetes control plane",
        command=command,
        version_arguments=version_arguments,
        folder=GO_MODULES / "control-plane",
        module=module,
        package=".",
        executable="control-plane",
        version_variables={
            "k8s.io/component-base/version.gitVersion": _KUBERNETES,
            "sigs.k8s.io/kwok/pkg/consts.Version": _KWOK,
        },
        build_minutes=4,
        install_url=install_url,
        minimum_version=minimum_version,
        below_version=below_version,
    )


def _kubernetes(command: str) -> Tool:
    return _tool(
        command,
        _KUBERNETES,
        "https://kubernetes.io/releases/download/",
        minimum_version="1.33.0",  # required by KServe, the charts and the stacks
        below_version="1.34.0",  # the schemas that objects are checked against offline are those of 1.33
    )


API_SERVER = _kubernetes("kube-apiserver")
CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
SCHEDULER = _kubernetes("kube-scheduler")
ETCD = _tool("etcd", _ETCD, "https://etcd.io/docs/latest/install/", minimum_version="3.4.0")
KWOK = _tool("kwok", _KWOK, "https://kwok.sigs.k8s.io/docs/user/installation/")
# For people, in the rehearsal's shell. It works with API servers within one minor version of its own.
KUBECTL = _tool(
    "kubectl", _KUBERNETES, "https://kubernetes.io/docs/tasks/tools/", "1.32.0", "1.35.0", ("version", "--client")
)

PROCESSES = (API_SERVER, CONTROLLER_MANAGER, SCHEDULER, ETCD, KWOK)
TOOLS = (*PROCESSES, KUBECTL)


def prepare() -> str:
    """Find or build every program; returns the reason if that is not possible, else an empty string.

    The result is cached in a process: a build that failed would fail again, after minutes.
    """
    return _found()[1]


def paths() -> Mapping[str, Path]:
    """Every program's path, keyed by its command; call `prepare` first."""
    return _found()[0]


@cache
def _found() -> tuple[Mapping[str, Path], str]:
    try:
        return {tool.command: toolchain.ensure(tool) for tool in TOOLS}, ""
    except UserError as error:
        return {}, str(error).splitlines()[0]
