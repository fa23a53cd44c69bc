"""The description of a controller that can run as a real process in place of its simulated pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.certificates import Certificate
from rehearsal.toolchain import Tool


@dataclass(frozen=True)
class LaunchContext:
    """Everything that a controller's launch options can refer to.

    namespace        of its workload
    user             the user name of its service account, whose permissions the process has
    program          the executable
    kubeconfig       impersonates `user`
    folder           for the process's own files
    socket_folder    for its Unix sockets, whose paths have to be short
    port             on which it serves its webhooks, or its other endpoints
    certificate      of its Service
    ca_file          the certificate authority of this certificate, and of the git server
    git_proxy        the URL of the HTTPS proxy to the git repositories that replace remote ones
    resolve_address  the address of another controller, by its name: `127.0.0.1:12345`
    """

    namespace: str
    user: str
    program: Path
    kubeconfig: Path
    folder: Path
    socket_folder: Path
    port: int
    certificate: Certificate
    ca_file: Path
    git_proxy: str
    resolve_address: Callable[[str], str]


@dataclass(frozen=True)
class LaunchOptions:
    """Options of a process in addition to its container's arguments and environment, with precedence over them."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Controller:
    """A controller, and how to find it in a cluster.

    tool             the program
    chart            the chart that installs it
    workload_name    empty if it depends on the release's name
    image            the last part of the image's name, which distinguishes its container from sidecars
    service          the Service of its webhooks, or of its other endpoints
    kinds            the custom kinds that it reconciles
    build_options    how to launch it
    workload_kind    in apps/v1
    label_selector   of the workload, if it has no fixed name
    process_name     if several controllers share one program
    substitute_note  the summary's note on a program that replaces another one, so that versions need not agree
    """

    tool: Tool
    chart: str
    workload_name: str
    image: str
    service: str
    kinds: Collection[str]
    build_options: Callable[[LaunchContext], LaunchOptions]
    workload_kind: str = "Deployment"
    label_selector: str = ""
    process_name: str = ""
    substitute_note: str = ""

    @property
    def name(self) -> str:
        return self.process_name or self.tool.command

    def find_workload(self, workloads: Iterable[Object]) -> Object | None:
        """The workload that runs this controller, among the cluster's Deployments and StatefulSets."""
        return next(filter(self._is_run_by, workloads), None)

    def _is_run_by(self, workload: Object) -> bool:
        metadata = workload["metadata"]
        key, _, value = self.label_selector.partition("=")
        is_named = metadata["name"] == self.workload_name or metadata.get("labels", {}).get(key) == value
        return workload["kind"] == self.workload_kind and is_named and self.find_container(workload) is not None

    def find_container(self, workload: Object) -> Object | None:
        """The container of a workload that runs this controller."""
        containers = workload["spec"]["template"]["spec"]["containers"]
        return next((container for container in containers if _split_image(container)[0] == self.image), None)

    def image_version(self, container: Object) -> str:
        """The version in the tag of a container's image: `0.20.0`."""
        return _split_image(container)[1].removeprefix("v")


def _split_image(container: Object) -> tuple[str, str]:
    """The last part of an image's name, and its tag."""
    name, _, tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag
