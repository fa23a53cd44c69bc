"""When an object of each kind counts as ready, by the rules of the real Kubernetes provider.

Source: https://github.com/pulumi/pulumi-kubernetes/tree/master/provider/pkg/await. Two rules differ: a
CustomResourceDefinition is waited for (the real provider retries its objects instead), and an object that has failed
permanently is an error immediately instead of after the timeout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.provider.projection import describe, get_condition, get_status
from rehearsal.kubernetes.readiness.conditions import explain_condition
from rehearsal.simulator.core.errors import CloudError

# Returns what an object still lacks, or None if it is ready. Raises CloudError if it has failed permanently.
ReadyRule = Callable[[ApiClient, Object], str | None]

_REVISION = "deployment.kubernetes.io/revision"


def find_ready_rule(live: Object) -> ReadyRule | None:
    """The rule for an object; None for a kind that is ready as soon as it exists. Raises CloudError."""
    if isinstance(wanted := _annotations(live).get("pulumi.com/waitFor"), str):
        return _parse_wait_for(wanted)
    group = live["apiVersion"].rpartition("/")[0]
    return _RULES.get(f"{group}/{live['kind']}")


def _check_deployment(api: ApiClient, live: Object) -> str | None:
    revision = _annotations(live).get(_REVISION)
    if not _is_observed(live) or revision is None:
        return "the Deployment controller has not observed it yet"
    of_revision = [each for each in list_replica_sets(api, live) if _annotations(each).get(_REVISION) == revision]
    if not of_revision:
        return f"the ReplicaSet of revision {revision} does not exist yet"
    wanted, ready = of_revision[0]["spec"].get("replicas", 1), get_status(of_revision[0], "readyReplicas", 0)
    if ready < wanted:
        return f"{ready} of {wanted} pods ready"
    if get_condition(live, "Available").get("status") != "True":
        return _format_condition(get_condition(live, "Available")) or "it is not Available"
    progress = get_condition(live, "Progressing")
    if revision != "1" and (progress.get("status"), progress.get("reason")) != ("True", "NewReplicaSetAvailable"):
        return _format_condition(progress) or "the rollout is not complete"
    return None


def _check_stateful_set(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001 the signature of a ReadyRule
    if not _is_observed(live):
        return "the StatefulSet controller has not observed it yet"
    wanted = live["spec"].get("replicas", 1)
    updates_on_delete = look_up(live, "spec.updateStrategy.type") == "OnDelete" and live["metadata"]["generation"] > 1
    counts = ("replicas", "readyReplicas") if updates_on_delete else ("replicas", "readyReplicas", "currentReplicas")
    short = min(get_status(live, count, 0) for count in counts)
    if any(get_status(live, count, 0) != wanted for count in counts):
        return f"{min(short, wanted)} of {wanted} pods ready and of the current revision"
    if not updates_on_delete and get_status(live, "currentRevision") != get_status(live, "updateRevision"):
        return "the update has not reached every pod"
    return None


def _check_daemon_set(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    wanted = get_status(live, "desiredNumberScheduled")
    if not _is_observed(live) or wanted is None:
        return "the DaemonSet controller has not observed it yet"
    counts = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    ready = min(get_status(live, count, 0) for count in counts)
    return f"{ready} of {wanted} pods ready" if ready < wanted else None


def _check_job(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    if (failed := get_condition(live, "Failed")).get("status") == "True":
        raise CloudError(f"{describe(live)} failed: {_format_condition(failed)}")
    if get_condition(live, "Complete").get("status") == "True":
        return None
    if look_up(live, "spec.suspend", None):
        return "the Job is suspended (spec.suspend)"
    counts = ", ".join(f"{get_status(live, count, 0)} {count}" for count in ("active", "succeeded", "failed"))
    return f"its pods: {counts}"


def _check_pod(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    phase = get_status(live, "phase")
    if phase == "Failed":
        raise CloudError(
            f"{describe(live)} failed: {get_status(live, 'message') or get_status(live, 'reason') or 'its process'}"
        )
    for type_ in ("PodScheduled", "Initialized", "Ready"):
        found = get_condition(live, type_)
        if found.get("status") != "True" and not (type_ == "Ready" and phase == "Succeeded"):
            return _format_condition(found) or f"it is not {type_}"
    return None


def _check_claim(api: ApiClient, live: Object) -> str | None:
    phase, class_ = get_status(live, "phase"), live["spec"].get("storageClassName")
    if phase == "Bound":
        return None
    storage = api.get("storage.k8s.io/v1", "StorageClass", class_) if class_ else None
    if phase == "Pending" and storage and storage.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    return f"no volume is bound to it, it is {phase}"


def _check_volume(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    phase = get_status(live, "phase")
    return None if phase in ("Available", "Bound") else f"it is {phase}"


def _check_replication_controller(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    wanted, available = live["spec"].get("replicas", 1), get_status(live, "availableReplicas", 0)
    return None if available == wanted else f"{available} of {wanted} pods available"


def _check_quota(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    hard = live["spec"].get("hard", {})
    return None if get_status(live, "hard", {}) == hard else "its limits are not in effect yet"


def _check_secret(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    waits = live.get("type") == "kubernetes.io/service-account-token" and not live.get("data")
    return "it has no token: does its service account exist?" if waits else None


def _check_service(api: ApiClient, live: Object) -> str | None:
    spec = live["spec"]
    if spec.get("type") == "LoadBalancer" and not get_status(live, "loadBalancer.ingress"):
        return "no load balancer was allocated to it: does a controller do that?"
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return None
    endpoints = api.get("v1", "Endpoints", live["metadata"]["name"], live["metadata"]["namespace"])
    if endpoints is None:
        return "its endpoints do not exist yet"
    # The real provider waits ten more seconds for late endpoints; simulated pods have none.
    waiting = sum(len(subset.get("notReadyAddresses", [])) for subset in endpoints.get("subsets", []))
    return f"{waiting} of the pods that it selects are not ready" if waiting else None


def _check_ingress(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    if get_status(live, "loadBalancer.ingress"):
        return None
    return "no ingress controller gave it an address: is there one for its ingressClassName?"


def _check_definition(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
    if get_condition(live, "Established").get("status") == "True":
        return None
    return _format_condition(get_condition(live, "NamesAccepted")) or "it is not Established"


_RULES: Mapping[str, ReadyRule] = {
    "apps/Deployment": _check_deployment,
    "apps/StatefulSet": _check_stateful_set,
    "apps/DaemonSet": _check_daemon_set,
    "batch/Job": _check_job,
    "/Pod": _check_pod,
    "/PersistentVolumeClaim": _check_claim,
    "/PersistentVolume": _check_volume,
    "/ReplicationController": _check_replication_controller,
    "/ResourceQuota": _check_quota,
    "/Secret": _check_secret,
    "/Service": _check_service,
    "networking.k8s.io/Ingress": _check_ingress,
    "apiextensions.k8s.io/CustomResourceDefinition": _check_definition,
}


def list_replica_sets(api: ApiClient, deployment: Object) -> list[Object]:
    uid, namespace = deployment["metadata"]["uid"], deployment["metadata"]["namespace"]
    return [
        each
        for each in api.list("apps/v1", "ReplicaSet", namespace)
        if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
    ]


def _parse_wait_for(wanted: str) -> ReadyRule:
    """The rule of the annotation pulumi.com/waitFor: `condition=Type[=Status]`, `jsonpath={.a.b}[=value]`, or a JSON
    array of them.

    Source: https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/ (annotations)
    """
    expressions = re.findall(r'"([^"]*)"', wanted) if wanted.startswith("[") else [wanted]

    def find_unmet(api: ApiClient, live: Object) -> str | None:  # noqa: ARG001
        unmet = next((expression for expression in expressions if not _is_met(expression, live)), None)
        condition = re.match(r"condition=(\w+)", unmet or "")
        explanation = explain_condition(live, condition[1]) if condition else ""
        return f"{unmet}: {explanation}" if explanation else unmet

    return find_unmet


def _is_met(expression: str, live: Object) -> bool:
    if found := re.fullmatch(r"condition=(\w+)(?:=(\w+))?", expression):
        wanted = found[2] or "True"
        return str(get_condition(live, found[1]).get("status", "")).lower() == wanted.lower()
    if found := re.fullmatch(r"jsonpath=\{?\.([\w.]+)\}?(?:=(.+))?", expression):
        value = look_up(live, found[1], None)
        return value is not None if found[2] is None else str(value) == found[2]
    raise CloudError(
        f"{describe(live)}: the rehearsal does not support pulumi.com/waitFor: {expression}. "
        "It supports condition=Type, condition=Type=Status and jsonpath={.dotted.path}=value."
    )


def _is_observed(live: Object) -> bool:
    return bool(get_status(live, "observedGeneration", 0) >= live["metadata"]["generation"])


def _format_condition(found: Mapping[str, Any]) -> str:
    """The reason and message of a condition, empty if it has neither."""
    reason, message = found.get("reason", ""), found.get("message", "")
    return f"[{reason}] {message}" if reason and message else str(reason or message)


def _annotations(live: Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = live["metadata"].get("annotations") or {}
    return found
