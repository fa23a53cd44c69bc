"""The control plane's programs: from PATH at an acceptable version, else downloaded, else built from pinned Go modules.

Those of Kubernetes are built as one executable that acts by the name it is called by, so their common code is compiled
and linked once. etcd and kwok are built by themselves: where only they are missing, Kubernetes is not compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.toolchain import GO_MODULES, Tool

API_SERVER = Tool(
    name="control-plane",
    title="the Kubernetes control plane",
    command="kube-apiserver",
    version_arguments=("--version",),
    folder=GO_MODULES / "control-plane",
    module="k8s.io/kubernetes",
    package=".",
    executable="control-plane",
    version_variables={"k8s.io/component-base/version.gitVersion": "k8s.io/kubernetes"},
    build_minutes=4,
    install_url="https://kubernetes.io/releases/download/",
    minimum_version="1.33.0",  # required by KServe, the charts and the stacks
    below_version="1.34.0",  # the schemas that objects are checked against offline are those of 1.33
)
CONTROLLER_MANAGER = replace(API_SERVER, command="kube-controller-manager")
SCHEDULER = replace(API_SERVER, command="kube-scheduler")
# For people, in the rehearsal's shell. It works with API servers within one minor version of its own.
KUBECTL = replace(
    API_SERVER,
    command="kubectl",
    version_arguments=("version", "--client"),
    install_url="https://kubernetes.io/docs/tasks/tools/",
    minimum_version="1.32.0",
    below_version="1.35.0",
)
ETCD = Tool(
    name="etcd",
    title="etcd",
    command="etcd",
    version_arguments=("--version",),
    folder=GO_MODULES / "control-plane",
    module="go.etcd.io/etcd/server/v3",
    package="go.etcd.io/etcd/server/v3",
    build_minutes=1,
    install_url="https://etcd.io/docs/latest/install/",
    minimum_version="3.4.0",
)
KWOK = Tool(
    name="kwok",
    title="kwok",
    command="kwok",
    version_arguments=("--version",),
    folder=GO_MODULES / "control-plane",
    module="sigs.k8s.io/kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    version_variables={"sigs.k8s.io/kwok/pkg/consts.Version": "sigs.k8s.io/kwok"},
    build_minutes=1,
    install_url="https://kwok.sigs.k8s.io/docs/user/installation/",
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
