"""Why an object is not ready or not deleted, as pods, events, conditions and finalizers report it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.provider.await_rules import list_replica_sets
from rehearsal.kubernetes.provider.projection import describe, get_condition, get_status

_MAX_REASONS = 5  # in one message; the first few differ the most

# What Kubernetes' own finalizers wait for.
# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/ and the pages of each kind
_BUILT_IN_FINALIZERS: Mapping[str, str] = {
    "customresourcecleanup.apiextensions.k8s.io": "objects of its kind still exist",
    "foregroundDeletion": "objects that it owns still exist",
    "kubernetes.io/pv-protection": "a claim is bound to it",
    "kubernetes.io/pvc-protection": "a pod still uses it",
}


def explain_not_ready(api: ApiClient, live: Object) -> str:
    """The reasons that pods, conditions and events report, without repetitions; empty if there are none."""
    counts = Counter(_each_reason(api, live))
    reasons = [f"{reason} ({count} times)" if count > 1 else reason for reason, count in counts.items()]
    return "; ".join(reasons[:_MAX_REASONS])


def explain_not_deleted(live: Object) -> str:
    """The finalizers of an object, what its conditions report about its contents, and the remedy."""
    finalizers = live["metadata"].get("finalizers", [])
    holds = [
        f"finalizer {name}" + (f" ({_BUILT_IN_FINALIZERS[name]})" if name in _BUILT_IN_FINALIZERS else "")
        for name in finalizers
    ]
    messages = [
        str(each.get("message"))
        for each in get_status(live, "conditions", [])
        if each.get("status") == "True"
        and (live["kind"] == "Namespace" or each.get("type") == "Terminating")
        and each.get("message")
    ]
    if not holds and not messages:
        return "it has no finalizers, and no condition reports a reason."
    has_foreign_finalizer = any(name not in _BUILT_IN_FINALIZERS for name in finalizers)
    remedy = (
        " A finalizer is removed by the controller that it belongs to: is that still running? Delete the object before "
        "its controller (depends_on), or remove the finalizer from the object's metadata."
        if has_foreign_finalizer or any("finalizers" in message for message in messages)
        else ""
    )
    return "; ".join([*holds, *messages]) + "." + remedy


def _each_reason(api: ApiClient, live: Object) -> Iterator[str]:
    replica_sets = list_replica_sets(api, live) if live["kind"] == "Deployment" else []
    for pod in _list_pods(api, live):
        yield from _each_pod_reason(pod)
    for each in (live, *replica_sets):
        failure = get_condition(each, "ReplicaFailure")
        if failure.get("status") == "True":
            yield str(failure.get("message"))
    if not replica_sets:
        yield from _each_event_message(api, live)


def _list_pods(api: ApiClient, live: Object) -> Iterable[Object]:
    selector = live.get("spec", {}).get("selector")
    labels = selector.get("matchLabels", {}) if isinstance(selector, Mapping) else {}
    if not labels:
        return []
    label_selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return api.list("v1", "Pod", live["metadata"]["namespace"], label_selector=label_selector)


def _each_pod_reason(pod: Object) -> Iterator[str]:
    scheduled, ready = get_condition(pod, "PodScheduled"), get_condition(pod, "Ready")
    if scheduled.get("status") == "False":
        # The part about preemption is a longer repetition of the message.
        yield f"pod not scheduled: {str(scheduled.get('message')).partition(' preemption:')[0]}"
        return
    for container in get_status(pod, "containerStatuses", []):
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            reason = f"{waiting.get('reason')} {waiting.get('message', '')}".strip()
            yield f"container {container['name']} is waiting: {reason}"
        elif (terminated := state.get("terminated")) and terminated.get("exitCode"):
            yield f"container {container['name']} terminated with exit code {terminated['exitCode']}"
    if ready.get("status") == "False" and ready.get("message"):
        yield f"{describe(pod)}: {ready['message']}"


def _each_event_message(api: ApiClient, live: Object) -> Iterator[str]:
    """The warnings about an object, and the normal events about a claim that waits for a volume."""
    namespace = live["metadata"].get("namespace", "default")
    selector = f"involvedObject.uid={live['metadata']['uid']}"
    for event in api.list("v1", "Event", namespace, field_selector=selector):
        if event.get("type") == "Warning" or event.get("reason") == "FailedBinding":
            yield f"[{event.get('reason')}] {event.get('message')}"
