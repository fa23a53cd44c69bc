"""Why an object is not ready, or does not go: what the pods, the events and the finalizers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.provider.await_rules import replica_sets
from rehearsal.kubernetes.provider.projection import condition, describe, status

_MANY = 5  # reasons in one message; those that differ say the most in the first few

# Who takes a finalizer away, where it is Kubernetes itself.
# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/ and the pages of each kind
_HOLDERS: Mapping[str, str] = {
    "customresourcecleanup.apiextensions.k8s.io": "objects of its kind are still there",
    "foregroundDeletion": "what it owns is still there",
    "kubernetes.io/pv-protection": "a claim is bound to it",
    "kubernetes.io/pvc-protection": "a pod still uses it",
}


def why_not_ready(api: ApiClient, live: Object) -> str:
    """What those say who could not do their part, each reason once; empty where nobody says anything."""
    found = Counter(_reasons(api, live))
    counted = [f"{reason} ({times} times)" if times > 1 else reason for reason, times in found.items()]
    return "; ".join(counted[:_MANY])


def why_still_there(live: Object) -> str:
    """What keeps a deleted object: its finalizers, and what its conditions say of what is left in it."""
    finalizers = live["metadata"].get("finalizers", [])
    held = [f"finalizer {name}" + (f" ({_HOLDERS[name]})" if name in _HOLDERS else "") for name in finalizers]
    told = [
        str(each.get("message"))
        for each in status(live, "conditions", [])
        if each.get("status") == "True"
        and (live["kind"] == "Namespace" or each.get("type") == "Terminating")
        and each.get("message")
    ]
    foreign = [name for name in finalizers if name not in _HOLDERS] or "".join(told).count("finalizers")
    remedy = (
        " A finalizer is taken away by the controller it belongs to: is that still running? Delete the object before "
        "its controller (depends_on), or take the finalizer out of the object's metadata."
        if foreign
        else ""
    )
    return "; ".join([*held, *told]) + "." + remedy if held or told else "Nothing says what keeps it."


def _reasons(api: ApiClient, live: Object) -> Iterator[str]:
    sets = replica_sets(api, live) if live["kind"] == "Deployment" else []
    for pod in _pods(api, live):
        yield from _of_pod(pod)
    for each in (live, *sets):
        failure = condition(each, "ReplicaFailure")
        if failure.get("status") == "True":
            yield str(failure.get("message"))
    if not sets:
        yield from _warnings(api, live)


def _pods(api: ApiClient, live: Object) -> Iterable[Object]:
    selector = live.get("spec", {}).get("selector")
    labels = selector.get("matchLabels", {}) if isinstance(selector, Mapping) else {}
    if not labels:
        return []
    wanted = ",".join(f"{key}={value}" for key, value in labels.items())
    return api.list("v1", "Pod", live["metadata"]["namespace"], label_selector=wanted)


def _of_pod(pod: Object) -> Iterator[str]:
    scheduled, ready = condition(pod, "PodScheduled"), condition(pod, "Ready")
    if scheduled.get("status") == "False":
        # What it says of preemption is the same again, longer.
        yield f"pod not scheduled: {str(scheduled.get('message')).partition(' preemption:')[0]}"
        return
    for container in status(pod, "containerStatuses", []):
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            yield f"container {container['name']} waits: {waiting.get('reason')} {waiting.get('message', '')}".strip()
        elif (ended := state.get("terminated")) and ended.get("exitCode"):
            yield f"container {container['name']} ended with exit code {ended['exitCode']}"
    if ready.get("status") == "False" and ready.get("message"):
        yield f"{describe(pod)}: {ready['message']}"


def _warnings(api: ApiClient, live: Object) -> Iterator[str]:
    """What events tell of the object; those of type Normal only where they tell of a claim that waits."""
    namespace = live["metadata"].get("namespace", "default")
    for event in api.list("v1", "Event", namespace, field_selector=f"involvedObject.uid={live['metadata']['uid']}"):
        if event.get("type") == "Warning" or event.get("reason") == "FailedBinding":
            yield f"[{event.get('reason')}] {event.get('message')}"
