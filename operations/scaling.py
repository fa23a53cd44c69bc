"""Scales a workload immediately, and changes the bounds of a node pool in the stack's settings."""

from __future__ import annotations

import json
import re

from deploy.errors import DeployError
from kernel.paths import look_up
from operations.target import Target

_POOLS = {"system": "systemPool", "user": "userPool", "gpu": "gpuPool"}
_MOST = 50


def scale_workload(target: Target, workload: str, replicas: int) -> str:
    """Scale a Deployment, `<namespace>/<name>`, and wait until its replicas serve; returns what was done.

    Raises DeployError if a controller would undo it at once, or the replicas do not become available.
    """
    namespace, name = parse_workload(workload)
    if not 0 <= replicas <= _MOST:
        raise DeployError(f"REPLICAS={replicas} is not a number of replicas from 0 to {_MOST}.")
    deployment = json.loads(target.kubectl("get", "deployment", name, "--namespace", namespace, "--output", "json"))
    _require_free(target, namespace, name, deployment)
    before = int(look_up(deployment, "spec.replicas", 1))
    place = [f"deployment/{name}", "--namespace", namespace]
    target.kubectl("scale", *place, f"--replicas={replicas}")
    answer = target.ask_kubectl("rollout", "status", *place, "--timeout=300s")
    if answer.code:
        raise DeployError(
            f"{workload} has {replicas} replicas now, {before} before, and they do not all become available: "
            f"{answer.reason}. `make scale STACK={target.name} WORKLOAD={workload} REPLICAS={before}` undoes it."
        )
    return (
        f"{workload}: {before} -> {replicas} replicas. The next `make up` restores what the settings declare: "
        "set groundwork:resilience.replicas to make it permanent."
    )


def scale_pool(target: Target, pool: str, minimum: int | None, maximum: int | None) -> str:
    """Set the bounds of a node pool in the stack's file; returns what was done, and what to do next.

    Raises DeployError if there is no such pool, or the settings do not allow the bounds.
    """
    if pool not in _POOLS:
        raise DeployError(f"POOL={pool} is not one of {', '.join(_POOLS)}.")
    if minimum is None and maximum is None:
        raise DeployError("Neither MINIMUM nor MAXIMUM is set: set the least or the greatest number of nodes, or both.")
    if pool == "gpu" and minimum is not None:
        raise DeployError("The minimum of the GPU pool is always 0 nodes: omit MINIMUM.")
    section = _POOLS[pool]
    current = target.settings.cluster.list_pools().get(section)
    if current is None:
        raise DeployError(f"{target.name} has no GPU pool: set groundwork:cluster.gpuPool.size first.")
    bounds = {"minimum": minimum, "maximum": maximum}
    lowest = current.minimum if minimum is None else minimum
    highest = current.maximum if maximum is None else maximum
    if not 0 <= lowest <= highest <= 100:
        raise DeployError(f"{lowest} to {highest} nodes is not a valid range: 0 <= MINIMUM <= MAXIMUM <= 100.")
    for name, value in bounds.items():
        if value is not None:
            path = ["--path", f"groundwork:cluster.{section}.{name}", str(value), "--type", "int"]
            target.call("pulumi", "config", "set", *path, "--stack", target.name, "--non-interactive")
    return (
        f"Pool {pool}: {current.minimum} to {current.maximum} -> {lowest} to {highest} nodes in "
        f"stacks/{target.stack.file.name}. `make up STACK={target.name}` applies it."
    )


def parse_workload(text: str) -> tuple[str, str]:
    """Namespace and name. Raises DeployError if the text has another form."""
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9.-]+", text):
        raise DeployError(f"WORKLOAD={text} is not of the form <namespace>/<name>, such as WORKLOAD=mlflow/mlflow.")
    namespace, _, name = text.partition("/")
    return namespace, name


def _require_free(target: Target, namespace: str, name: str, deployment: object) -> None:
    for scaler in target.list_objects("horizontalpodautoscalers.autoscaling"):
        reference = look_up(scaler, "spec.scaleTargetRef", {})
        if scaler["metadata"].get("namespace") == namespace and reference.get("name") == name:
            raise DeployError(
                f"{namespace}/{name} is scaled by a HorizontalPodAutoscaler, which would undo it. Change its bounds; "
                "for a model these are `minReplicas` and `maxReplicas` in the GitOps repository."
            )
    owners = look_up(deployment, "metadata.ownerReferences", ()) or ()
    if owners:
        raise DeployError(
            f"{namespace}/{name} belongs to the {owners[0]['kind']} {owners[0]['name']}, whose controller would undo "
            "it: change that object instead; for a model, in the GitOps repository."
        )
