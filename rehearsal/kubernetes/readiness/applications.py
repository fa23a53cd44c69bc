"""Argo CD's Applications that are not Synced and Healthy, and the reasons that Argo CD reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import Problem, ProblemsOfObjects, describe_object
from rehearsal.kubernetes.readiness.remedies import find_remedy
from rehearsal.kubernetes.readiness.snapshot import Snapshot

KIND = "Application"
_API_VERSION = "argoproj.io/v1alpha1"
_REFUSED = r"serves no git repository of ([\w.-]+)"  # the error of the rehearsal's git server for other hosts


def find_unsynced(snapshot: Snapshot, no_reason: str) -> ProblemsOfObjects:
    """The problems of all Applications; `no_reason` is the reason of a problem while Argo CD is still working on it.

    Only a running controller reports problems: if it is simulated, no Application has a status. Applications that
    `list_unreachable` names have no problem.
    """
    for application in snapshot.list(_API_VERSION, KIND):
        if _find_foreign_host(application):
            continue
        for reason in _explain(application, no_reason):
            yield application, Problem(describe_object(application), reason, find_remedy(reason))


def list_unreachable(snapshot: Snapshot) -> list[str]:
    """A note for each Application whose manifests refer to other repositories, which a rehearsal does not have."""
    return [
        f"{describe_object(application)}: not rehearsed, because its manifests refer to repositories of {host}"
        for application in snapshot.list(_API_VERSION, KIND)
        if (host := _find_foreign_host(application))
    ]


def _find_foreign_host(application: Object) -> str:
    """The host that the rehearsal's git server refused, unless the Application's own repository is there."""
    own = urlsplit(look_up(application, "spec.source.repoURL", "")).hostname
    refused = re.search(_REFUSED, " ".join(_list_errors(application)))
    return refused[1] if refused and refused[1] != own else ""


def _explain(application: Object, no_reason: str) -> Iterator[str]:
    errors = _list_errors(application)
    sync, operation = (look_up(application, f"status.{part}", {}) for part in ("sync", "operationState"))
    if errors:
        yield _describe_source(application) + _join_lines("; ".join(dict.fromkeys(errors)))
    elif sync.get("status") != "Synced":
        failed = operation.get("phase") in ("Failed", "Error") or operation.get("retryCount")
        yield f"not synced: {_join_lines(operation.get('message', '')) if failed else no_reason}"
    elif not _manages_applications(application):
        health = look_up(application, "status.health", {})
        if health.get("status") not in ("Healthy", "Suspended"):
            known = "; ".join(_list_unhealthy(application)) or no_reason
            yield f"{health.get('status', 'without health')}: {known}"


def _list_errors(application: Object) -> list[str]:
    conditions = look_up(application, "status.conditions", ())
    return [condition["message"] for condition in conditions if condition["type"].endswith("Error")]


def _describe_source(application: Object) -> str:
    """The source that an Application's errors concern: Argo CD's messages leave out the repository, or the rest."""
    source = look_up(application, "spec.source", {})
    if not source:
        return ""
    return f"source {source.get('repoURL')} ({source.get('targetRevision')}, {source.get('path')}): "


def _manages_applications(application: Object) -> bool:
    """Whether its health is that of other Applications, which have their own problems."""
    return any(resource["kind"] == KIND for resource in look_up(application, "status.resources", ()))


def _list_unhealthy(application: Object) -> Iterator[str]:
    """The objects that are unhealthy, without those that are still progressing."""
    for resource in look_up(application, "status.resources", ()):
        health = resource.get("health", {})
        if health.get("status") in ("Degraded", "Missing", "Unknown"):
            message = _join_lines(health.get("message", ""))
            yield f"{resource['kind']} {resource['name']} is {health['status']}{f' ({message})' if message else ''}"


def _join_lines(text: str) -> str:
    return " ".join(text.split())
