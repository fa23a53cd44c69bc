"""Checks the health of what a stack runs: nodes, workloads, models, certificates, secrets, Argo CD's Applications."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deploy.findings import Finding, missing, note, ok
from kernel.paths import look_up
from operations.target import Target

_Object = Mapping[str, Any]
_SHOWN = 5  # names in a line
# The fields in which a workload states its desired replicas, and those that serve.
_COUNTS = {
    "deployments.apps": ("spec.replicas", "status.availableReplicas"),
    "statefulsets.apps": ("spec.replicas", "status.readyReplicas"),
    "daemonsets.apps": ("status.desiredNumberScheduled", "status.numberAvailable"),
}
# Kinds with a condition `Ready`, and what to do if it is not true.
_READY = {
    "nodes": "`kubectl describe node`; platform/runbooks/NodePoolAtMaximum.md",
    "certificates.cert-manager.io": "see platform/runbooks/CertificateNotReady.md",
    "externalsecrets.external-secrets.io": "see platform/runbooks/SecretSyncFailing.md",
    "inferenceservices.serving.kserve.io": "see platform/runbooks/ModelNotServing.md",
}


def check(target: Target) -> list[Finding]:
    """All findings, in order of dependency; only the first one if the cluster does not answer."""
    api = check_api(target)
    if api.remedy:
        return [api]
    findings = [api]
    for kind, remedy in _READY.items():
        findings += _check_each(target, kind, _is_ready, remedy)
    for kind in _COUNTS:
        findings += _check_each(target, kind, _has_its_replicas, "see platform/runbooks/WorkloadUnavailable.md")
    findings += _check_pods(target)
    findings += _check_each(target, "applications.argoproj.io", _is_synced, "see platform/runbooks/ArgoCdOutOfSync.md")
    return findings


def check_api(target: Target) -> Finding:
    """Check whether the Kubernetes API answers."""
    answer = target.ask_kubectl("get", "--raw", "/readyz", "--request-timeout=10s")
    if answer.code:
        return missing(
            "cluster",
            f"the Kubernetes API of {target.name} does not answer: {answer.reason}",
            "check the way to it (docs/deploying.md, 5); if the region is down, see platform/runbooks/failover.md",
        )
    return ok("cluster", "the Kubernetes API answers")


def _check_each(target: Target, kind: str, is_well: Callable[[_Object], bool], remedy: str) -> Iterator[Finding]:
    """One line for all objects of a kind."""
    objects = target.list_objects(kind)
    subject = kind.partition(".")[0]
    ill = [_name(each) for each in objects if not is_well(each)]
    if ill:
        yield missing(subject, f"{len(ill)} of {len(objects)} are not healthy: {_join(ill)}", remedy)
    elif objects:
        yield ok(subject, f"all {len(objects)} are healthy")
    else:
        yield note(subject, "there are none")


def _check_pods(target: Target) -> Iterator[Finding]:
    """Check for pods that wait or fail without belonging to a workload, such as those of Jobs."""
    pods = target.list_objects("pods")
    waiting = [_name(pod) for pod in pods if look_up(pod, "status.phase", "") in ("Pending", "Failed", "Unknown")]
    if waiting:
        yield missing(
            "pods",
            f"{len(waiting)} of {len(pods)} neither run nor succeeded: {_join(waiting)}",
            "`kubectl describe pod`",
        )
    else:
        yield ok("pods", f"all {len(pods)} run or succeeded")


def _is_ready(item: _Object) -> bool:
    conditions: Sequence[_Object] = look_up(item, "status.conditions", ()) or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _has_its_replicas(item: _Object) -> bool:
    if look_up(item, "status.observedGeneration", 0) < look_up(item, "metadata.generation", 0):
        return False  # its controller has not seen the last change yet
    wanted, served = next(paths for kind, paths in _COUNTS.items() if kind.startswith(f"{item['kind'].lower()}s"))
    return int(look_up(item, served, 0) or 0) >= int(look_up(item, wanted, 1) or 0)


def _is_synced(item: _Object) -> bool:
    status, health = look_up(item, "status.sync.status", ""), look_up(item, "status.health.status", "")
    return bool(status == "Synced" and health in ("Healthy", "Progressing", "Suspended"))


def _name(item: _Object) -> str:
    metadata = item["metadata"]
    return "/".join(filter(None, (metadata.get("namespace", ""), metadata["name"])))


def _join(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
