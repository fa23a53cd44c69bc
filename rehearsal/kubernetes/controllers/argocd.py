"""Argo CD: its application controller, and the repository server that makes manifests of what stands in git.

Between them they need Redis, in whose place a stand-in runs. Nothing else of Argo CD runs for real: no API server, no
user interface, no ApplicationSets.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.helm import cli
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.controllers.controller import Controller, Launch, LaunchContext
from rehearsal.toolchain import GO_MODULES, Tool

_PERIOD = 3  # seconds between two looks at git; Argo CD's own default is two minutes, and up to one more
_LABEL = "app.kubernetes.io/name={}".format

_TOOL = Tool(
    name="argo-cd",
    title="Argo CD's controllers",
    command="argo-cd-controllers",
    version_arguments=("--version",),
    folder=GO_MODULES / "argo-cd",
    module="github.com/argoproj/argo-cd/v3",
    package=".",
    version_variable="github.com/argoproj/argo-cd/v3/common.version",
    build_time="four minutes",
    install_url="https://github.com/argoproj/argo-cd/tree/master/cmd",
)


def _application_controller(context: LaunchContext) -> Launch:
    """Its flags: https://argo-cd.readthedocs.io/en/stable/operator-manual/server-commands/argocd-application-controller/

    None says on which address it serves its metrics, so it does on all, unlike the rest of the control plane.
    """
    return Launch(
        [
            f"--kubeconfig={context.kubeconfig}",
            f"--namespace={context.namespace}",
            f"--repo-server={context.reach(REPOSITORY_SERVER.name)}",
            "--repo-server-plaintext",
            f"--redis={context.reach(REDIS.name)}",
            f"--app-resync={_PERIOD}",
            "--app-resync-jitter=0",
            "--metrics-port=0",
        ],
        {
            "ARGOCD_BINARY_NAME": APPLICATION_CONTROLLER.name,
            # https://kubernetes.default.svc is then where this leads to, and not to a pod's own credentials.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "KUBECONFIG": str(context.kubeconfig),
            "ARGOCD_CONTROLLER_REPLICAS": "1",  # one process, for however many pods
            "KUBECACHEDIR": str(context.folder / "kubecache"),
            "TMPDIR": str(context.folder),
        },
    )


def _repository_server(context: LaunchContext) -> Launch:
    """Its flags: https://argo-cd.readthedocs.io/en/stable/operator-manual/server-commands/argocd-repo-server/"""
    return Launch(
        [
            f"--address={HOST}",
            f"--port={context.port}",
            "--disable-tls",
            f"--redis={context.reach(REDIS.name)}",
            f"--metrics-address={HOST}",
            "--metrics-port=0",
        ],
        {
            "ARGOCD_BINARY_NAME": REPOSITORY_SERVER.name,
            "ARGOCD_RECONCILIATION_TIMEOUT": f"{_PERIOD}s",  # for so long it remembers where a branch was
            "ARGOCD_GPG_ENABLED": "false",
            # Relative, for a socket's path has at most 107 characters; the guard's processes work in this folder.
            "ARGOCD_ASK_PASS_SOCK": os.path.relpath(context.folder / "ask-pass", toolchain.ROOT),
            "PATH": f"{_commands(context)}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(context.folder),
            "HELM_CACHE_HOME": str(context.folder / "helm"),
            "HELM_CONFIG_HOME": str(context.folder / "helm"),
            "HELM_DATA_HOME": str(context.folder / "helm"),
            **_only_through(context.proxy),
            "SSL_CERT_FILE": str(context.authority),
            "GIT_SSL_CAINFO": str(context.authority),
        },
    )


def _redis(context: LaunchContext) -> Launch:
    return Launch(
        [],
        {
            "ARGOCD_BINARY_NAME": REDIS.name,
            "REDIS_STAND_IN_ADDRESS": f"{HOST}:{context.port}",
            "TMPDIR": str(context.folder),
        },
    )


def _commands(context: LaunchContext) -> Path:
    """A folder of what the repository server calls by name: kustomize, which is in its own program, and Helm."""
    folder = context.folder / "bin"
    folder.mkdir(exist_ok=True)
    found = {"kustomize": context.program}
    with contextlib.suppress(UserError):  # it is needed for charts only
        found["helm"] = cli.helm()
    for name, program in found.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(program)
    return folder


def _only_through(proxy: str) -> Mapping[str, str]:
    """Go reads the names in capitals first, and git those in small letters."""
    return {
        variable: value
        for name, value in (("HTTPS_PROXY", proxy), ("NO_PROXY", ""))
        for variable in (name, name.lower())
    }


APPLICATION_CONTROLLER = Controller(
    tool=_TOOL,
    chart="argo-cd",
    deployment="",
    image="argocd",
    service="argocd-application-controller",
    kinds=("Application", "AppProject"),
    launch=_application_controller,
    workload="StatefulSet",
    label=_LABEL("argocd-application-controller"),
    process="argocd-application-controller",
)

REPOSITORY_SERVER = Controller(
    tool=_TOOL,
    chart="argo-cd",
    deployment="",
    image="argocd",
    service="argocd-repo-server",
    kinds=(),
    launch=_repository_server,
    label=_LABEL("argocd-repo-server"),
    process="argocd-repo-server",
)

REDIS = Controller(
    tool=_TOOL,
    chart="argo-cd",
    deployment="",
    image="redis",
    service="argocd-redis",
    kinds=(),
    launch=_redis,
    label=_LABEL("argocd-redis"),
    process="redis-stand-in",
    stand_in="Redis of Argo CD: a stand-in, which forgets everything when it ends",
)

CONTROLLERS = (REDIS, REPOSITORY_SERVER, APPLICATION_CONTROLLER)
