"""What there is to know of a controller that can run for real, in the place of its simulated pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.cluster.api import Object
from rehearsal.cluster.credentials import Certificate
from rehearsal.tools import Tool


@dataclass(frozen=True)
class Seat:
    """What a controller's process is given here.

    namespace    where its Deployment stands
    user         its ServiceAccount, as the API server knows it: it may do what its chart allows it, and no more
    kubeconfig   of an administrator who acts for `user`
    folder       its own, for as long as the process runs
    port         where it is to serve its webhooks
    certificate  of the webhooks' Service
    """

    namespace: str
    user: str
    kubeconfig: Path
    folder: Path
    port: int
    certificate: Certificate


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
    deployment  the name of its Deployment
    image       the last part of its image's name: tells its container from those beside it
    service     the Service of its webhooks
    kinds       what it acts on
    launch      how to start it
    """

    tool: Tool
    chart: str
    deployment: str
    image: str
    service: str
    kinds: Collection[str]
    launch: Callable[[Seat], Launch]

    @property
    def name(self) -> str:
        return self.tool.command

    def container(self, deployment: Object) -> Object | None:
        """The container of a Deployment that this program runs in."""
        containers = deployment["spec"]["template"]["spec"]["containers"]
        return next((each for each in containers if _image(each)[0] == self.image), None)

    def version(self, container: Object) -> str:
        """The version of the program in a container, by its image's tag: `0.20.0`."""
        return _image(container)[1].removeprefix("v")


def _image(container: Object) -> tuple[str, str]:
    """The last part of an image's name, and its tag."""
    name, _, tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag
