"""Argo CD's application controller and its repository server, which renders the manifests in git repositories.

Both need Redis, which is replaced by an in-memory substitute. The rest of Argo CD does not run: no API server, no user
interface, no ApplicationSets.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from rehearsal.console import UserError
from rehearsal.helm import cli
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.controllers.controller import Controller, LaunchContext, LaunchOptions
from rehearsal.toolchain import GO_MODULES, Tool

_REFRESH_INTERVAL = 3  # seconds between two polls of git; Argo CD's default is two to three minutes
_LABEL_SELECTOR = "app.kubernetes.io/name={}".format

_TOOL = Tool(
    name="argo-cd",
    title="Argo CD's controllers",
    command="argo-cd-controllers",
    version_arguments=("--version",),
    folder=GO_MODULES / "argo-cd",
    module="github.com/argoproj/argo-cd/v3",
    package=".",
    version_variables={"github.com/argoproj/argo-cd/v3/common.version": "github.com/argoproj/argo-cd/v3"},
    build_minutes=4,
    install_url="https://github.com/argoproj/argo-cd/tree/master/cmd",
)


def _application_controller(context: LaunchContext) -> LaunchOptions:
    """Flags: https://argo-cd.readthedocs.io/en/stable/operator-manual/server-commands/argocd-application-controller/

    It serves only its metrics. No flag sets their address, so they are served on all addresses, unlike the rest of the
    control plane.
    """
    return LaunchOptions(
        [
            f"--kubeconfig={context.kubeconfig}",
            f"--namespace={context.namespace}",
            f"--repo-server={context.resolve_address(REPOSITORY_SERVER.name)}",
            "--repo-server-plaintext",
            f"--redis={context.resolve_address(REDIS.name)}",
            f"--app-resync={_REFRESH_INTERVAL}",
            "--app-resync-jitter=0",
            f"--metrics-port={context.port}",
        ],
        {
            "ARGOCD_BINARY_NAME": APPLICATION_CONTROLLER.name,
            # With this, https://kubernetes.default.svc means this kubeconfig instead of the credentials in a pod.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "KUBECONFIG": str(context.kubeconfig),
            "ARGOCD_CONTROLLER_REPLICAS": "1",  # one process, whatever the number of pods
            "KUBECACHEDIR": str(context.folder / "kubecache"),
            "TMPDIR": str(context.folder),
        },
    )


def _repository_server(context: LaunchContext) -> LaunchOptions:
    """Flags: https://argo-cd.readthedocs.io/en/stable/operator-manual/server-commands/argocd-repo-server/"""
    return LaunchOptions(
        [
            f"--address={HOST}",
            f"--port={context.port}",
            "--disable-tls",
            f"--redis={context.resolve_address(REDIS.name)}",
            f"--metrics-address={HOST}",
            "--metrics-port=0",
        ],
        {
            "ARGOCD_BINARY_NAME": REPOSITORY_SERVER.name,
            "ARGOCD_RECONCILIATION_TIMEOUT": f"{_REFRESH_INTERVAL}s",  # how long it caches the commit of a branch
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_ASK_PASS_SOCK": str(context.socket_folder / "ask-pass"),
            "PATH": f"{_link_commands(context)}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(context.folder),
            "HELM_CACHE_HOME": str(context.folder / "helm"),
            "HELM_CONFIG_HOME": str(context.folder / "helm"),
            "HELM_DATA_HOME": str(context.folder / "helm"),
            **_proxy_environment(context.git_proxy),
            "SSL_CERT_FILE": str(context.ca_file),
            "GIT_SSL_CAINFO": str(context.ca_file),
        },
    )


def _redis(context: LaunchContext) -> LaunchOptions:
    return LaunchOptions(
        [],
        {
            "ARGOCD_BINARY_NAME": REDIS.name,
            "REDIS_STAND_IN_ADDRESS": f"{HOST}:{context.port}",
            "TMPDIR": str(context.folder),
        },
    )


def _link_commands(context: LaunchContext) -> Path:
    """A folder of the commands that the repository server runs: kustomize, which is part of its program, and Helm."""
    folder = context.folder / "bin"
    folder.mkdir(exist_ok=True)
    commands = {"kustomize": context.program}
    with contextlib.suppress(UserError):  # only charts need it
        commands["helm"] = cli.ensure_helm()
    for name, program in commands.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(program)
    return folder


def _proxy_environment(proxy: str) -> Mapping[str, str]:
    """Everything goes through the proxy. Go reads the upper-case names first, git the lower-case ones."""
    return {
        variable: value
        for name, value in (("HTTPS_PROXY", proxy), ("NO_PROXY", ""))
        for variable in (name, name.lower())
    }


APPLICATION_CONTROLLER = Controller(
    tool=_TOOL,
    chart="argo-cd",
    workload_name="",
    image="argocd",
    service="argocd-application-controller",
    kinds=("Application", "AppProject"),
    build_options=_application_controller,
    workload_kind="StatefulSet",
    label_selector=_LABEL_SELECTOR("argocd-application-controller"),
    process_name="argocd-application-controller",
)

REPOSITORY_SERVER = Controller(
    tool=_TOOL,
    chart="argo-cd",
    workload_name="",
    image="argocd",
    service="argocd-repo-server",
    kinds=(),
    build_options=_repository_server,
    label_selector=_LABEL_SELECTOR("argocd-repo-server"),
    process_name="argocd-repo-server",
)

REDIS = Controller(
    tool=_TOOL,
    chart="argo-cd",
    workload_name="",
    image="redis",
    service="argocd-redis",
    kinds=(),
    build_options=_redis,
    label_selector=_LABEL_SELECTOR("argocd-redis"),
    process_name="redis-stand-in",
    substitute_note="Argo CD's Redis: an in-memory substitute, which starts empty with each run",
)

CONTROLLERS = (REDIS, REPOSITORY_SERVER, APPLICATION_CONTROLLER)
