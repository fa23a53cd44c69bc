"""What there is to know of a controller that can run for real, in the place of its simulated pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.certificates import Certificate
from rehearsal.toolchain import Tool


@dataclass(frozen=True)
class LaunchContext:
    """What a controller's process is given here.

    namespace    where its workload stands
    user         its ServiceAccount, as the API server knows it: it may do what its chart allows it, and no more
    program      what runs
    kubeconfig   of an administrator who acts for `user`
    folder       its own, for as long as the process runs
    port         where it is to serve its webhooks, or what else it serves
    certificate  of its Service
    authority    the certificate of who signed that, and whatever else answers here
    proxy        where its HTTPS requests find the git repositories that stand for remote ones
    reach        where it reaches another controller, by its name: `127.0.0.1:12345`
    """

    namespace: str
    user: str
    program: Path
    kubeconfig: Path
    folder: Path
    port: int
    certificate: Certificate
    authority: Path
    proxy: str
    reach: Callable[[str], str]


@dataclass(frozen=True)
class Launch:
    """What a process needs beside its container's own arguments and environment, which it has a last word over."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Controller:
    """A controller, and how it is found in a cluster.

    tool        the program
    chart       the chart that installs it
    deployment  the name of its workload; empty where that depends on the release's name
    image       the last part of its image's name: tells its container from those beside it
    service     the Service of its webhooks, or what else it serves
    kinds       what it acts on
    launch      how to start it
    workload    the kind of its workload
    label       by which its workload is found, where that has no name of its own
    process     what its process is called, where the program is not one controller's alone
    stand_in    what to say of it where it does the work of another program, whose version does not matter
    """

    tool: Tool
    chart: str
    deployment: str
    image: str
    service: str
    kinds: Collection[str]
    launch: Callable[[LaunchContext], Launch]
    workload: str = "Deployment"
    label: str = ""
    process: str = ""
    stand_in: str = ""

    @property
    def name(self) -> str:
        return self.process or self.tool.command

    def container(self, workload: Object) -> Object | None:
        """The container of a workload that this program runs in."""
        containers = workload["spec"]["template"]["spec"]["containers"]
        return next((each for each in containers if _image(each)[0] == self.image), None)

    def version(self, container: Object) -> str:
        """The version of the program in a container, by its image's tag: `0.20.0`."""
        return _image(container)[1].removeprefix("v")


def _image(container: Object) -> tuple[str, str]:
    """The last part of an image's name, and its tag."""
    name, _, tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag
