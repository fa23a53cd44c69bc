"""Finding the pod, and all its containers, in any workload that carries one."""

from collections.abc import Iterator
from typing import Any

from policies.props import ABSENT, UNKNOWN, Props, Undecided, Verdicts, each, expect, lookup

POD_KINDS = (
    "kubernetes:core/v1:Pod",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:apps/v1:ReplicaSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:batch/v1:CronJob",
)
CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


def pod_path(props: Props) -> str:
    """Where the pod's specification stands; the shape tells, so that manifests need no type."""
    if lookup(props, "spec.jobTemplate") is not ABSENT:
        return "spec.jobTemplate.spec.template.spec"
    return "spec" if lookup(props, "spec.template") is ABSENT else "spec.template.spec"


def containers(props: Props, lists: tuple[str, ...] = CONTAINER_LISTS) -> Iterator[tuple[str, Props | Undecided]]:
    """Every container with a name for messages, or what has to be known before it can be found."""
    pod = pod_path(props)
    for where, container in (found for name in lists for found in each(props, f"{pod}.{name}[]")):
        if container is UNKNOWN:
            yield where, Undecided(where)
        elif container is not ABSENT:
            name = lookup(container, "name")
            yield (f"{where} ({name})" if isinstance(name, str) else where), container


def expect_in_containers(
    props: Props,
    path: str,
    accepts: Any,
    wrong: str,
    *,
    absent_passes: bool = False,
    lists: tuple[str, ...] = CONTAINER_LISTS,
) -> Verdicts:
    """The same expectation of every container."""
    for where, container in containers(props, lists):
        if isinstance(container, Undecided):
            yield container
            continue
        for verdict in expect(container, path, accepts, wrong, absent_passes=absent_passes):
            yield verdict if isinstance(verdict, Undecided) else f"{where}: {verdict}"


def effective(props: Props, container: Props, setting: str) -> Any:
    """A container's security setting: its own, else the pod's."""
    own = lookup(container, f"securityContext.{setting}")
    return lookup(props, f"{pod_path(props)}.securityContext.{setting}") if own is ABSENT else own
