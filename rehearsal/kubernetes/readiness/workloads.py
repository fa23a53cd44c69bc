"""Which objects in the cluster are not ready, why, and which setting to change.

The reasons are the messages of the scheduler, admission, controllers and the simulated kubelet (`kubelet_checks`). A
workload has one problem for each reason, regardless of its number of pods.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from kernel.annotations import NODES_ON_DEMAND
from kernel.paths import look_up
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.readiness import applications, capacity, kubelet_checks
from rehearsal.kubernetes.readiness.conditions import conditions_by_type, explain_condition, true_conditions
from rehearsal.kubernetes.readiness.problem import Problem, ProblemsOfObjects, describe_object
from rehearsal.kubernetes.readiness.remedies import find_remedy
from rehearsal.kubernetes.readiness.snapshot import Snapshot, strip_object_name
from rehearsal.polling import WaitTimeoutError, wait_until

_RELEASE_NAME = "meta.helm.sh/release-name"  # annotation of objects that Helm installed, pkg/action/validate.go of Helm

# Seconds without a change after which no more changes are expected: the scheduler retries a pod after at most ten,
# https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/ (podMaxBackoffSeconds).
_STABLE_AFTER = 12.0
_POLL_INTERVAL = 1.0  # seconds
_NO_REASON = "no reason reported yet"

# The condition that every object of a kind must have.
_REQUIRED_CONDITIONS = (("v1", "Node", "Ready"), ("apiregistration.k8s.io/v1", "APIService", "Available"))
_REQUIRED_OF_DEFINITIONS = (("apiextensions.k8s.io/v1", "CustomResourceDefinition", "Established"),)
# The condition with which a controller reports its work. It is absent if the controller does not run.
_REPORTED_CONDITIONS = (
    ("monitoring.coreos.com/v1", "Prometheus", "Reconciled"),
    ("monitoring.coreos.com/v1", "Alertmanager", "Reconciled"),
    ("serving.kserve.io/v1beta1", "InferenceService", "Ready"),
    ("external-secrets.io/v1", "ExternalSecret", "Ready"),
)


def find_problems(
    api: ApiClient, namespace: str = "", release: str = "", served_kinds: Collection[str] = ()
) -> list[Problem]:
    """What is not ready now, and why; limited to a namespace and a Helm release if they are named.

    A release includes the objects that Helm installed and those that controllers created for them, but not its hooks,
    which Helm does not mark. `served_kinds` are custom kinds that real controllers reconcile. Raises
    ApiUnreachableError.
    """
    snapshot = Snapshot(api, namespace)
    found = chain.from_iterable(check(snapshot) for check in _CHECKS)
    if not namespace:
        found = chain(found, _check_conditions(snapshot, _REQUIRED_CONDITIONS))
    # Definitions are megabytes of JSON, too much for each poll of a release; Helm itself waits for its own definitions.
    if not namespace and not release:
        found = chain(found, _check_conditions(snapshot, _REQUIRED_OF_DEFINITIONS))
    if applications.KIND in served_kinds:
        found = chain(found, applications.find_unsynced(snapshot, _NO_REASON))
    problems = {problem for owner, problem in found if not release or _find_release(snapshot, owner) == release}
    return sorted(problems, key=lambda problem: (problem.workload, problem.reason))


def wait_until_stable(api: ApiClient, timeout: float, served_kinds: Collection[str] = ()) -> list[Problem]:
    """Wait until everything is ready or nothing changes any more; returns the remaining problems like `find_problems`.

    Nothing changes any more when every problem has a reason and none has changed for some seconds, or after `timeout`
    seconds. Raises ApiUnreachableError.
    """
    problems: list[Problem] = []
    unchanged_since = time.monotonic()

    def is_stable() -> bool:
        nonlocal problems, unchanged_since
        current = find_problems(api, served_kinds=served_kinds)
        if current != problems:
            problems, unchanged_since = current, time.monotonic()
        all_explained = not any(_NO_REASON in problem.reason for problem in problems)
        return not problems or (all_explained and time.monotonic() - unchanged_since > _STABLE_AFTER)

    with suppress(WaitTimeoutError):
        wait_until(is_stable, timeout=timeout, interval=_POLL_INTERVAL)
    return problems


def _find_release(snapshot: Snapshot, found: Object) -> str | None:
    workload = snapshot.find_workload(found)
    for metadata in (found["metadata"], workload["metadata"]):
        for field in ("annotations", "labels"):
            if _RELEASE_NAME in metadata.get(field, {}):
                return str(metadata[field][_RELEASE_NAME])
    return None


def _problem_of(found: Object, reason: str) -> tuple[Object, Problem]:
    return found, Problem(describe_object(found), reason, find_remedy(reason))


def _check_workloads(snapshot: Snapshot) -> ProblemsOfObjects:
    """The problems of pod controllers, and of pods without a controller."""
    unready_pods: dict[str, list[Object]] = {}
    for pod in snapshot.list("v1", "Pod"):
        if not _is_ready_or_done(pod):
            unready_pods.setdefault(describe_object(snapshot.find_workload(pod)), []).append(pod)
    for controller in _list_pod_controllers(snapshot):
        workload = snapshot.find_workload(controller)
        pods = unready_pods.pop(describe_object(workload), [])
        explain = _explain_job if controller["kind"] == "Job" else _explain_replicas
        for reason in explain(snapshot, controller, pods):
            yield _problem_of(workload, reason)
    for pods in unready_pods.values():
        for reason in _explain_pods(snapshot, pods):
            yield _problem_of(snapshot.find_workload(pods[0]), reason)


def _list_pod_controllers(snapshot: Snapshot) -> Iterator[Object]:
    """The object of each workload whose status shows its progress: for a CronJob, its latest Job."""
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        yield from snapshot.list("apps/v1", kind)
    for replica_set in snapshot.list("apps/v1", "ReplicaSet"):
        if snapshot.find_workload(replica_set)["kind"] != "Deployment":
            yield replica_set
    jobs = sorted(snapshot.list("batch/v1", "Job"), key=lambda job: str(job["metadata"]["creationTimestamp"]))
    yield from {describe_object(snapshot.find_workload(job)): job for job in jobs}.values()


def _is_ready_or_done(pod: Object) -> bool:
    phase = look_up(pod, "status.phase", "")
    is_ready = "Ready" in true_conditions(pod) and phase != "Failed"
    return is_ready or phase == "Succeeded" or "deletionTimestamp" in pod["metadata"]


def _explain_replicas(snapshot: Snapshot, controller: Object, pods: Sequence[Object]) -> Iterator[str]:
    ready, desired = _count_replicas(controller)
    if ready < desired:
        failure = conditions_by_type(controller).get("ReplicaFailure", {}).get("message")
        reasons = [*_explain_pods(snapshot, pods), *([strip_object_name(failure)] if failure else [])]
        for reason in reasons or [snapshot.latest_event_message(controller, "FailedCreate") or _NO_REASON]:
            yield f"{ready}/{desired} pods ready: {reason}"
    elif controller["kind"] == "DaemonSet" and not desired and _is_observed(controller):
        nodes = 0 if _waits_for_nodes(controller) else len(snapshot.list("v1", "Node"))
        if nodes:
            yield f"it selects no node of {nodes}"


def _waits_for_nodes(daemon_set: Object) -> bool:
    return bool(daemon_set["metadata"].get("annotations", {}).get(NODES_ON_DEMAND) == "true")


def _count_replicas(controller: Object) -> tuple[int, int]:
    """The number of ready pods of the latest revision, and the desired number."""
    spec, status = controller["spec"], controller.get("status", {})
    if controller["kind"] == "DaemonSet":
        desired, total = status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0)
        updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        desired, total = spec.get("replicas", 1), status.get("replicas", 0)
        updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    strategy = spec.get("updateStrategy", {})
    is_manual = strategy.get("type") == "OnDelete" or strategy.get("rollingUpdate", {}).get("partition")
    outdated = 0 if is_manual or controller["kind"] == "ReplicaSet" else total - updated
    return (max(0, available - outdated) if _is_observed(controller) else 0), desired


def _is_observed(controller: Object) -> bool:
    return bool(look_up(controller, "status.observedGeneration", 0) >= controller["metadata"]["generation"])


def _explain_job(snapshot: Snapshot, job: Object, pods: Sequence[Object]) -> Iterator[str]:
    conditions = true_conditions(job)
    reasons = _explain_pods(snapshot, pods)
    if "Failed" in conditions:
        failed = conditions["Failed"]
        yield f"{failed['reason']}: {failed['message']}" + (f" ({'; '.join(reasons)})" if reasons else "")
    elif not conditions.keys() & {"Complete", "Suspended"}:
        for reason in reasons or [snapshot.latest_event_message(job, "FailedCreate") or _NO_REASON]:
            yield f"not finished: {reason}"


def _explain_pods(snapshot: Snapshot, pods: Iterable[Object]) -> list[str]:
    return list(dict.fromkeys(_explain_pod(snapshot, pod) for pod in pods))


def _explain_pod(snapshot: Snapshot, pod: Object) -> str:
    """Why a pod is not ready, without its name."""
    status = pod.get("status", {})
    if not pod["spec"].get("nodeName"):
        return _explain_unscheduled(snapshot, pod)
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        state = container.get("state", {})
        if "waiting" in state:
            return ": ".join(filter(None, (state["waiting"].get("reason"), state["waiting"].get("message"))))
        if state.get("terminated", {}).get("exitCode"):
            return f"container {container['name']} ended with exit code {state['terminated']['exitCode']}"
    return status.get("message") or conditions_by_type(pod).get("Ready", {}).get("message") or _NO_REASON


def _explain_unscheduled(snapshot: Snapshot, pod: Object) -> str:
    """The scheduler's message, the figures behind it, and the reasons why the pod's volumes are pending."""
    scheduled = conditions_by_type(pod).get("PodScheduled", {}).get("message", "")
    message = re.sub(r"\.? preemption: .*", "", scheduled, flags=re.DOTALL)
    namespace = pod["metadata"]["namespace"]
    waiting_claims = (
        (volume, _explain_claim(snapshot, _claim_name(pod, volume), namespace))
        for volume in pod["spec"].get("volumes", ())
    )
    volumes = [f"volume {volume['name']}: {reason}" for volume, reason in waiting_claims if reason]
    nodes = snapshot.list("v1", "Node")
    insufficient = re.findall(r"Insufficient ([\w./-]*\w)", message)
    figures = (capacity.explain_insufficient_resource(pod, nodes, resource) for resource in insufficient)
    reasons = (message, capacity.explain_unmatched_node_selector(pod, nodes), *figures, *volumes)
    return "; ".join(filter(None, reasons)) or _NO_REASON


def _claim_name(pod: Object, volume: Object) -> str:
    """The name of the PersistentVolumeClaim behind a pod's volume, empty if there is none."""
    if "ephemeral" in volume:
        return f"{pod['metadata']['name']}-{volume['name']}"
    return str(volume.get("persistentVolumeClaim", {}).get("claimName", ""))


def _explain_claim(snapshot: Snapshot, name: str, namespace: str) -> str:
    """Why a claim is not bound; empty if it is bound, does not exist, or waits for its first consumer."""
    claim = snapshot.get("v1", "PersistentVolumeClaim", name, namespace)
    if claim is None or look_up(claim, "status.phase", "") == "Bound":
        return ""
    reason = snapshot.latest_event_message(claim, "ProvisioningFailed", "FailedBinding", "ExternalProvisioning")
    if reason:
        return reason
    waits_for_pod = snapshot.latest_event_message(claim, "WaitForFirstConsumer", "WaitForPodScheduled")
    return "" if waits_for_pod else _NO_REASON


def _check_unused_claims(snapshot: Snapshot) -> ProblemsOfObjects:
    """The problems of claims that no pod uses; other claims are part of their pods' reasons."""
    used = {
        (pod["metadata"]["namespace"], _claim_name(pod, volume))
        for pod in snapshot.list("v1", "Pod")
        for volume in pod["spec"].get("volumes", ())
    }
    for claim in snapshot.list("v1", "PersistentVolumeClaim"):
        name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
        reason = "" if (namespace, name) in used else _explain_claim(snapshot, name, namespace)
        if reason:
            yield _problem_of(claim, f"{look_up(claim, 'status.phase', 'Pending')}: {reason}")


def _check_services(snapshot: Snapshot) -> ProblemsOfObjects:
    for service in snapshot.list("v1", "Service"):
        ingress = look_up(service, "status.loadBalancer.ingress", ())
        if service["spec"].get("type") == "LoadBalancer" and not ingress:
            failure = snapshot.latest_event_message(service, "SyncLoadBalancerFailed")
            yield _problem_of(service, f"it has no load balancer: {failure or 'no controller provides one'}")


def _check_autoscalers(snapshot: Snapshot) -> ProblemsOfObjects:
    for autoscaler in snapshot.list("autoscaling/v2", "HorizontalPodAutoscaler"):
        active = conditions_by_type(autoscaler).get("ScalingActive", {})
        if active.get("status") == "False" and active["reason"] != "ScalingDisabled":
            yield _problem_of(autoscaler, f"{active['reason']}: {active['message']}")


def _check_namespaces(snapshot: Snapshot) -> ProblemsOfObjects:
    for namespace in snapshot.list("v1", "Namespace"):
        metadata = namespace["metadata"]
        if "deletionTimestamp" in metadata and snapshot.namespace in ("", metadata["name"]):
            conditions = true_conditions(namespace)
            reasons = "; ".join(f"{type_}: {condition['message']}" for type_, condition in conditions.items())
            yield _problem_of(namespace, f"Terminating: {reasons or _NO_REASON}")


def _check_conditions(snapshot: Snapshot, conditions: Sequence[tuple[str, str, str]]) -> ProblemsOfObjects:
    for api_version, kind, required in conditions:
        # Listed at the current version, which halves the cost for the API server: definitions are large, and no other
        # object in the snapshot is related to these kinds.
        for found in snapshot.api.list(api_version, kind):
            condition = conditions_by_type(found).get(required, {})
            if condition.get("status") != "True":
                yield _problem_of(found, f"not {required}: {explain_condition(found, required) or _NO_REASON}")


def _check_reported_conditions(snapshot: Snapshot) -> ProblemsOfObjects:
    for api_version, kind, reported in _REPORTED_CONDITIONS:
        for found in snapshot.list(api_version, kind):
            condition = conditions_by_type(found).get(reported, {})
            if condition.get("status") == "False":
                yield _problem_of(found, f"not {reported}: {explain_condition(found, reported) or _NO_REASON}")


_CHECKS = (
    _check_workloads,
    _check_reported_conditions,
    kubelet_checks.find_kubelet_errors,
    _check_unused_claims,
    _check_services,
    _check_autoscalers,
    _check_namespaces,
)
