"""The control plane's programs: from PATH at a fitting version, else built from their pinned Go modules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.toolchain import GO_MODULES, Tool

_BUILD_MEMORY = 4 << 30  # bytes for one build: linking the API server takes about 2 GiB
_BUILD_CORES = 4  # that one build keeps busy


def _kubernetes(command: str, build_time: str) -> Tool:
    return Tool(
        name="kubernetes",
        title=command,
        command=command,
        version_arguments=("--version",),
        folder=GO_MODULES / "kubernetes",
        module="k8s.io/kubernetes",
        package=f"k8s.io/kubernetes/cmd/{command}",
        version_variables={"k8s.io/component-base/version.gitVersion": "k8s.io/kubernetes"},
        build_time=build_time,
        install_url="https://kubernetes.io/releases/download/",
        minimum_version="1.33.0",  # what KServe, the charts and the stacks require
        below_version="1.34.0",  # the schemas that objects are checked against offline are of 1.33
    )


API_SERVER = _kubernetes("kube-apiserver", "three minutes")
CONTROLLER_MANAGER = _kubernetes("kube-controller-manager", "a minute and a half")
SCHEDULER = _kubernetes("kube-scheduler", "half a minute")

ETCD = Tool(
    name="etcd",
    title="etcd",
    command="etcd",
    version_arguments=("--version",),
    folder=GO_MODULES / "etcd",
    module="go.etcd.io/etcd/server/v3",
    package="go.etcd.io/etcd/server/v3",
    version_variables={"go.etcd.io/etcd/api/v3/version.GitSHA": "go.etcd.io/etcd/server/v3"},
    build_time="a minute",
    install_url="https://etcd.io/docs/latest/install/",
    minimum_version="3.4.0",
)

KWOK = Tool(
    name="kwok",
    title="kwok",
    command="kwok",
    version_arguments=("--version",),
    folder=GO_MODULES / "kwok",
    module="sigs.k8s.io/kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    version_variables={"sigs.k8s.io/kwok/pkg/consts.Version": "sigs.k8s.io/kwok"},
    build_time="a minute",
    install_url="https://kwok.sigs.k8s.io/docs/user/installation/",
)

TOOLS = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KWOK)


def prepare() -> str:
    """Find or build every program; returns the reason where that is not possible, else an empty text.

    The result is cached: a build that failed would fail again, after minutes.
    """
    return _find_or_build()[1]


def paths() -> Mapping[str, Path]:
    """The path of every program by its command; empty where `prepare` returns a reason."""
    return _find_or_build()[0]


@cache
def _find_or_build() -> tuple[Mapping[str, Path], str]:
    try:
        with ThreadPoolExecutor(_parallel_builds()) as builds:
            found = list(builds.map(toolchain.ensure, TOOLS))
    except UserError as error:
        return {}, str(error).splitlines()[0]
    return {tool.command: path for tool, path in zip(TOOLS, found, strict=True)}, ""


def _parallel_builds() -> int:
    """How many builds to run at once, so that each has the cores and the memory that it needs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(TOOLS), (os.cpu_count() or 1) // _BUILD_CORES, memory // _BUILD_MEMORY))
