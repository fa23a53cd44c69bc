"""What in the cluster is not Ready, why, and which setting to change.

The reasons are those of whoever refuses: scheduler, admission, a controller, the kubelet that is simulated
(`startable`). There is one for each workload, however many pods it has.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.readiness import capacity, kubelet_checks
from rehearsal.kubernetes.readiness.remedies import find_remedy
from rehearsal.kubernetes.readiness.snapshot import Found, Problem, Snapshot, conditions, label, plain, true

__all__ = ["Problem", "find_problems", "wait_until_stable"]

_RELEASE = "meta.helm.sh/release-name"  # what Helm marks its objects with, pkg/action/validate.go of Helm

# Seconds without a change, after which nothing is expected to move any more: the scheduler looks at a pod again after
# ten at most, https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/ (podMaxBackoffSeconds).
_STILL = 12.0
_PACE = 1.0  # seconds between two looks
_SILENT = "no reason given yet"


def find_problems(api: ApiClient, namespace: str = "", release: str = "") -> list[Problem]:
    """What is not Ready now, and why; in one namespace and of one Helm release where they are named.

    A release's are the objects that Helm installed and what controllers made of them; its hooks are not among them,
    for Helm does not mark those. Raises ApiUnreachableError.
    """
    snapshot = Snapshot(api, namespace)
    found = chain.from_iterable(source(snapshot) for source in (*_SOURCES, *(() if namespace else (_needed,))))
    problems = {problem for thing, problem in found if not release or _release(snapshot, thing) == release}
    return sorted(problems, key=lambda problem: (problem.workload, problem.reason))


def wait_until_stable(api: ApiClient, timeout: float) -> list[Problem]:
    """What is still not Ready when nothing moves any more: none once all is Ready.

    Returns after `timeout` seconds at the latest, plus one look at the cluster; sooner if all is Ready, or if every
    fault has its reason and none has changed for some seconds. Raises ApiUnreachableError.
    """
    end = time.monotonic() + timeout
    last, since = find_problems(api), time.monotonic()
    while last and time.monotonic() < end:
        told = not any(_SILENT in problem.reason for problem in last)
        if told and time.monotonic() - since > _STILL:
            break
        time.sleep(min(_PACE, max(0.0, end - time.monotonic())))
        now = find_problems(api)
        if now != last:
            last, since = now, time.monotonic()
    return last


def _release(snapshot: Snapshot, thing: Object) -> str | None:
    owned = snapshot.workload(thing)["metadata"]
    for metadata in (thing["metadata"], owned):
        for marks in ("annotations", "labels"):
            if _RELEASE in metadata.get(marks, {}):
                return str(metadata[marks][_RELEASE])
    return None


def _problem(thing: Object, reason: str) -> tuple[Object, Problem]:
    return thing, Problem(label(thing), reason, find_remedy(reason))


def _workloads(snapshot: Snapshot) -> Found:
    """What makes pods, and pods that nothing made, as long as they are not what they should be."""
    waiting: dict[str, list[Object]] = {}
    for pod in snapshot.all("v1", "Pod"):
        if not _fine(pod):
            waiting.setdefault(label(snapshot.workload(pod)), []).append(pod)
    for maker in _makers(snapshot):
        workload = snapshot.workload(maker)
        pods = waiting.pop(label(workload), [])
        for said in _job(snapshot, maker, pods) if maker["kind"] == "Job" else _replicas(snapshot, maker, pods):
            yield _problem(workload, said)
    for pods in waiting.values():
        for said in _messages(snapshot, pods):
            yield _problem(snapshot.workload(pods[0]), said)


def _makers(snapshot: Snapshot) -> Iterator[Object]:
    """Of each workload the object that tells how far it is: of a CronJob its latest Job."""
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        yield from snapshot.all("apps/v1", kind)
    for maker in snapshot.all("apps/v1", "ReplicaSet"):
        if snapshot.workload(maker)["kind"] != "Deployment":
            yield maker
    jobs = sorted(snapshot.all("batch/v1", "Job"), key=lambda job: str(job["metadata"]["creationTimestamp"]))
    yield from {label(snapshot.workload(job)): job for job in jobs}.values()


def _fine(pod: Object) -> bool:
    phase = pod.get("status", {}).get("phase")
    ready = "Ready" in true(pod) and phase != "Failed"
    return ready or phase == "Succeeded" or "deletionTimestamp" in pod["metadata"]


def _replicas(snapshot: Snapshot, maker: Object, pods: Sequence[Object]) -> Iterator[str]:
    ready, desired = _progress(maker)
    if ready < desired:
        refusal = conditions(maker).get("ReplicaFailure", {}).get("message")
        said = [*_messages(snapshot, pods), *([plain(refusal)] if refusal else [])]
        for words in said or [snapshot.event(maker, "FailedCreate") or _SILENT]:
            yield f"{ready}/{desired} pods ready: {words}"
    elif maker["kind"] == "DaemonSet" and not desired and _observed(maker):
        nodes = len(snapshot.all("v1", "Node"))
        if nodes:
            yield f"it selects no node of {nodes}"


def _progress(maker: Object) -> tuple[int, int]:
    """How many pods are ready and of the newest make, and how many should be."""
    spec, status = maker["spec"], maker.get("status", {})
    if maker["kind"] == "DaemonSet":
        desired, total = status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0)
        updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        desired, total = spec.get("replicas", 1), status.get("replicas", 0)
        updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    strategy = spec.get("updateStrategy", {})
    by_hand = strategy.get("type") == "OnDelete" or strategy.get("rollingUpdate", {}).get("partition")
    old = 0 if by_hand or maker["kind"] == "ReplicaSet" else total - updated
    return (max(0, available - old) if _observed(maker) else 0), desired


def _observed(maker: Object) -> bool:
    return bool(maker.get("status", {}).get("observedGeneration", 0) >= maker["metadata"]["generation"])


def _job(snapshot: Snapshot, job: Object, pods: Sequence[Object]) -> Iterator[str]:
    now = true(job)
    if "Failed" in now:
        said = _messages(snapshot, pods)
        yield f"{now['Failed']['reason']}: {now['Failed']['message']}" + (f" ({'; '.join(said)})" if said else "")
    elif not now.keys() & {"Complete", "Suspended"}:
        for words in _messages(snapshot, pods) or [snapshot.event(job, "FailedCreate") or _SILENT]:
            yield f"not finished: {words}"


def _messages(snapshot: Snapshot, pods: Iterable[Object]) -> list[str]:
    return list(dict.fromkeys(_message(snapshot, pod) for pod in pods))


def _message(snapshot: Snapshot, pod: Object) -> str:
    """Why a pod is not Ready, without its name."""
    status = pod.get("status", {})
    if not pod["spec"].get("nodeName"):
        return _unscheduled(snapshot, pod)
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        state = container.get("state", {})
        if "waiting" in state:
            return ": ".join(filter(None, (state["waiting"].get("reason"), state["waiting"].get("message"))))
        if state.get("terminated", {}).get("exitCode"):
            return f"container {container['name']} ended with exit code {state['terminated']['exitCode']}"
    return status.get("message") or conditions(pod).get("Ready", {}).get("message") or _SILENT


def _unscheduled(snapshot: Snapshot, pod: Object) -> str:
    """The scheduler's words, with the numbers they are about, and with what the pod's volumes wait for."""
    said = conditions(pod).get("PodScheduled", {}).get("message", "")
    message = re.sub(r"\.? preemption: .*", "", said, flags=re.DOTALL)
    volumes = [
        f"volume {volume['name']}: {reason}"
        for volume in pod["spec"].get("volumes", ())
        for reason in (_claim(snapshot, _claimed(pod, volume), pod["metadata"]["namespace"]),)
        if reason
    ]
    nodes = snapshot.all("v1", "Node")
    lacking = (capacity.lacking(pod, nodes, resource) for resource in re.findall(r"Insufficient ([\w./-]*\w)", message))
    return "; ".join(filter(None, (message, capacity.unlabelled(pod, nodes), *lacking, *volumes))) or _SILENT


def _claimed(pod: Object, volume: Object) -> str:
    """The name of the claim behind a volume of a pod, empty where there is none."""
    if "ephemeral" in volume:
        return f"{pod['metadata']['name']}-{volume['name']}"
    return str(volume.get("persistentVolumeClaim", {}).get("claimName", ""))


def _claim(snapshot: Snapshot, name: str, namespace: str) -> str:
    """What a claim waits for, empty where it is bound, is not there, or waits for a pod that uses it."""
    claim = snapshot.one("v1", "PersistentVolumeClaim", name, namespace)
    if claim is None or claim.get("status", {}).get("phase") == "Bound":
        return ""
    said = snapshot.event(claim, "ProvisioningFailed", "FailedBinding", "ExternalProvisioning")
    return said or ("" if snapshot.event(claim, "WaitForFirstConsumer", "WaitForPodScheduled") else _SILENT)


def _claims(snapshot: Snapshot) -> Found:
    """Claims that no pod speaks for."""
    used = {
        (pod["metadata"]["namespace"], _claimed(pod, volume))
        for pod in snapshot.all("v1", "Pod")
        for volume in pod["spec"].get("volumes", ())
    }
    for claim in snapshot.all("v1", "PersistentVolumeClaim"):
        name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
        said = "" if (namespace, name) in used else _claim(snapshot, name, namespace)
        if said:
            yield _problem(claim, f"{claim.get('status', {}).get('phase', 'Pending')}: {said}")


def _services(snapshot: Snapshot) -> Found:
    for service in snapshot.all("v1", "Service"):
        balanced = service["status"].get("loadBalancer", {}).get("ingress")
        if service["spec"].get("type") == "LoadBalancer" and not balanced:
            said = snapshot.event(service, "SyncLoadBalancerFailed") or "nothing in the cluster acts on it"
            yield _problem(service, f"it has no load balancer: {said}")


def _autoscalers(snapshot: Snapshot) -> Found:
    for scaler in snapshot.all("autoscaling/v2", "HorizontalPodAutoscaler"):
        active = conditions(scaler).get("ScalingActive", {})
        if active.get("status") == "False" and active["reason"] != "ScalingDisabled":
            yield _problem(scaler, f"{active['reason']}: {active['message']}")


def _namespaces(snapshot: Snapshot) -> Found:
    for namespace in snapshot.all("v1", "Namespace"):
        if "deletionTimestamp" in namespace["metadata"] and snapshot.namespace in ("", namespace["metadata"]["name"]):
            said = "; ".join(f"{kind}: {item['message']}" for kind, item in true(namespace).items())
            yield _problem(namespace, f"Terminating: {said or _SILENT}")


def _needed(snapshot: Snapshot) -> Found:
    """What has one condition that has to be true."""
    for api_version, kind, wanted in _CONDITIONS:
        # As they are now, which costs the API server half: definitions are large, and nothing is held against them.
        for thing in snapshot.api.list(api_version, kind):
            condition = conditions(thing).get(wanted, {})
            if condition.get("status") != "True":
                said = condition.get("message") or condition.get("reason") or _SILENT
                yield _problem(thing, f"not {wanted}: {said}")


def _acted_on(snapshot: Snapshot) -> Found:
    """What a real controller says it could not do; of what only simulated pods would act on, nobody says anything."""
    for api_version, kind, wanted in _CONTROLLED:
        for thing in snapshot.all(api_version, kind):
            condition = conditions(thing).get(wanted, {})
            if condition.get("status") == "False":
                said = condition.get("message") or condition.get("reason") or _SILENT
                yield _problem(thing, f"not {wanted}: {said}")


# What the verdict is on, beside workloads and what they use: the condition that each has to have.
_CONDITIONS = (
    ("v1", "Node", "Ready"),
    ("apiregistration.k8s.io/v1", "APIService", "Available"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "Established"),
)
# The condition by which a controller that may run for real says that it has done its work.
_CONTROLLED = (
    ("monitoring.coreos.com/v1", "Prometheus", "Reconciled"),
    ("monitoring.coreos.com/v1", "Alertmanager", "Reconciled"),
    ("serving.kserve.io/v1beta1", "InferenceService", "Ready"),
)
_SOURCES = (_workloads, _acted_on, kubelet_checks.find_kubelet_errors, _claims, _services, _autoscalers, _namespaces)
