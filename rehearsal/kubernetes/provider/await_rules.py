"""When an object counts as ready, kind by kind, by the rules of the real Kubernetes provider.

Source: https://github.com/pulumi/pulumi-kubernetes/tree/master/provider/pkg/await. Two rules differ: a
CustomResourceDefinition is waited for (the real provider tries its objects again instead), and what has failed for
good is refused at once instead of after the timeout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.provider.projection import condition, describe, status
from rehearsal.simulator.core.errors import CloudError

# What is still missing, None when nothing is. Raises CloudError when it can never come.
Rule = Callable[[ApiClient, Object], str | None]

_REVISION = "deployment.kubernetes.io/revision"


def rule(live: Object) -> Rule | None:
    """The rule for an object, None for a kind that is ready as soon as it is there."""
    if isinstance(wanted := _annotations(live).get("pulumi.com/waitFor"), str):
        return _waits_for(wanted)
    group = live["apiVersion"].rpartition("/")[0]
    return _RULES.get(f"{group}/{live['kind']}")


def _deployment(api: ApiClient, live: Object) -> str | None:
    revision = _annotations(live).get(_REVISION)
    if not _observed(live) or revision is None:
        return "the Deployment controller has not begun"
    of_revision = [each for each in replica_sets(api, live) if _annotations(each).get(_REVISION) == revision]
    if not of_revision:
        return f"the ReplicaSet of revision {revision} is not there"
    wanted, ready = of_revision[0]["spec"].get("replicas", 1), status(of_revision[0], "readyReplicas", 0)
    if ready < wanted:
        return f"{ready} of {wanted} pods ready"
    if condition(live, "Available").get("status") != "True":
        return _told(condition(live, "Available")) or "it is not Available"
    progress = condition(live, "Progressing")
    if revision != "1" and (progress.get("status"), progress.get("reason")) != ("True", "NewReplicaSetAvailable"):
        return _told(progress) or "the rollout is not complete"
    return None


def _stateful_set(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001 a rule's signature
    if not _observed(live):
        return "the StatefulSet controller has not begun"
    wanted = live["spec"].get("replicas", 1)
    by_hand = look_up(live, "spec.updateStrategy.type", None) == "OnDelete" and live["metadata"]["generation"] > 1
    counted = ("replicas", "readyReplicas") if by_hand else ("replicas", "readyReplicas", "currentReplicas")
    short = min(status(live, count, 0) for count in counted)
    if any(status(live, count, 0) != wanted for count in counted):
        return f"{min(short, wanted)} of {wanted} pods ready and of the current revision"
    if not by_hand and status(live, "currentRevision") != status(live, "updateRevision"):
        return "the update has not reached every pod"
    return None


def _daemon_set(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    wanted = status(live, "desiredNumberScheduled")
    if not _observed(live) or wanted is None:
        return "the DaemonSet controller has not begun"
    counted = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    there = min(status(live, count, 0) for count in counted)
    return f"{there} of {wanted} pods ready" if there < wanted else None


def _job(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    if (failed := condition(live, "Failed")).get("status") == "True":
        raise CloudError(f"{describe(live)} failed: {_told(failed)}")
    if condition(live, "Complete").get("status") == "True":
        return None
    if look_up(live, "spec.suspend", None):
        return "the Job is suspended (spec.suspend)"
    counts = ", ".join(f"{status(live, count, 0)} {count}" for count in ("active", "succeeded", "failed"))
    return f"its pods: {counts}"


def _pod(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    phase = status(live, "phase")
    if phase == "Failed":
        raise CloudError(
            f"{describe(live)} failed: {status(live, 'message') or status(live, 'reason') or 'its process'}"
        )
    for type_ in ("PodScheduled", "Initialized", "Ready"):
        found = condition(live, type_)
        if found.get("status") != "True" and not (type_ == "Ready" and phase == "Succeeded"):
            return _told(found) or f"it is not {type_}"
    return None


def _claim(api: ApiClient, live: Object) -> str | None:
    phase, class_ = status(live, "phase"), live["spec"].get("storageClassName")
    if phase == "Bound":
        return None
    storage = api.get("storage.k8s.io/v1", "StorageClass", class_) if class_ else None
    if phase == "Pending" and storage and storage.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    return f"no volume is bound to it, it is {phase}"


def _volume(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    phase = status(live, "phase")
    return None if phase in ("Available", "Bound") else f"it is {phase}"


def _controller(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    wanted, there = live["spec"].get("replicas", 1), status(live, "availableReplicas", 0)
    return None if there == wanted else f"{there} of {wanted} pods available"


def _quota(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    hard = live["spec"].get("hard", {})
    return None if status(live, "hard", {}) == hard else "its limits are not in force"


def _secret(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    waits = live.get("type") == "kubernetes.io/service-account-token" and not live.get("data")
    return "no token was put into it: is its service account there?" if waits else None


def _service(api: ApiClient, live: Object) -> str | None:
    spec = live["spec"]
    if spec.get("type") == "LoadBalancer" and not status(live, "loadBalancer.ingress"):
        return "no load balancer was allocated to it: is there a controller that does?"
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return None
    endpoints = api.get("v1", "Endpoints", live["metadata"]["name"], live["metadata"]["namespace"])
    if endpoints is None:
        return "its endpoints are not there"
    # The real provider waits ten seconds more for stragglers; simulated pods have none.
    waiting = sum(len(subset.get("notReadyAddresses", [])) for subset in endpoints.get("subsets", []))
    return f"{waiting} of the pods that it selects are not ready" if waiting else None


def _ingress(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    if status(live, "loadBalancer.ingress"):
        return None
    return "no ingress controller gave it an address: is there one for its ingressClassName?"


def _definition(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    if condition(live, "Established").get("status") == "True":
        return None
    return _told(condition(live, "NamesAccepted")) or "it is not Established"


_RULES: Mapping[str, Rule] = {
    "apps/Deployment": _deployment,
    "apps/StatefulSet": _stateful_set,
    "apps/DaemonSet": _daemon_set,
    "batch/Job": _job,
    "/Pod": _pod,
    "/PersistentVolumeClaim": _claim,
    "/PersistentVolume": _volume,
    "/ReplicationController": _controller,
    "/ResourceQuota": _quota,
    "/Secret": _secret,
    "/Service": _service,
    "networking.k8s.io/Ingress": _ingress,
    "apiextensions.k8s.io/CustomResourceDefinition": _definition,
}


def replica_sets(api: ApiClient, deployment: Object) -> list[Object]:
    uid, namespace = deployment["metadata"]["uid"], deployment["metadata"]["namespace"]
    return [
        each
        for each in api.list("apps/v1", "ReplicaSet", namespace)
        if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
    ]


def _waits_for(wanted: str) -> Rule:
    """The rule of the annotation pulumi.com/waitFor: `condition=Type[=Status]`, `jsonpath={.a.b}[=value]`, or a JSON
    array of them.

    Source: https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/ (annotations)
    """
    expressions = re.findall(r'"([^"]*)"', wanted) if wanted.startswith("[") else [wanted]

    def waits(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
        return next((expression for expression in expressions if not _holds(expression, live)), None)

    return waits


def _holds(expression: str, live: Object) -> bool:
    if found := re.fullmatch(r"condition=(\w+)(?:=(\w+))?", expression):
        wanted = found[2] or "True"
        return str(condition(live, found[1]).get("status", "")).lower() == wanted.lower()
    if found := re.fullmatch(r"jsonpath=\{?\.([\w.]+)\}?(?:=(.+))?", expression):
        value = look_up(live, found[1], None)
        return value is not None if found[2] is None else str(value) == found[2]
    raise CloudError(
        f"{describe(live)}: a rehearsal does not understand pulumi.com/waitFor: {expression}. "
        "It knows condition=Type, condition=Type=Status and jsonpath={.dotted.path}=value."
    )


def _observed(live: Object) -> bool:
    return bool(status(live, "observedGeneration", 0) >= live["metadata"]["generation"])


def _told(found: Mapping[str, Any]) -> str:
    """What a condition says, its reason first."""
    reason, message = found.get("reason", ""), found.get("message", "")
    return f"[{reason}] {message}" if reason and message else str(reason or message)


def _annotations(live: Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = live["metadata"].get("annotations") or {}
    return found
