"""Checks that each volume of a pod is mounted, and that it has content.

The API server accepts volumes without either. Source: https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.wiring.graph import Wiring


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    found = {problem.message: problem for pod in wiring.cluster.list("v1", "Pod") for problem in _check(wiring, pod)}
    yield from found.values()  # once for all replicas of a workload


def _check(wiring: Wiring, pod: Object) -> Iterator[Problem]:
    owner = describe_object(wiring.cluster.find_workload(pod))
    mounted = set(_list_mounted(pod))
    for volume in as_list(look_up(pod, "spec.volumes", None)):
        name = str(volume["name"])
        if name not in mounted:
            yield Problem(owner, f"no container mounts its volume {name}", "mount it, or remove it")
        if "projected" in volume and not as_list(look_up(volume, "projected.sources", None)):
            yield Problem(owner, f"its volume {name} projects nothing: the folder is empty", "set its sources")


def _list_mounted(pod: Object) -> Iterator[str]:
    for part in ("containers", "initContainers"):
        for container in as_list(look_up(pod, f"spec.{part}", None)):
            for kind in ("volumeMounts", "volumeDevices"):
                yield from (str(mount["name"]) for mount in as_list(container.get(kind)))
