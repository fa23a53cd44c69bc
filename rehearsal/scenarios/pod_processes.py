"""Makes kwok leave pods to the kubelet stub, which runs their processes.

One annotation of pods does it: of the models' in the GitOps repository, of the stack's own services in the cluster. It
is the only difference to production.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from rehearsal.console import UserError
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.scenarios.kubelet_stub import PROCESS_ANNOTATION
from rehearsal.scenarios.waiting import wait_for_step

_NAMESPACE = "lifecycle"
_KIND = ("apps/v1", "Deployment")


def run_services(api: ApiClient) -> None:
    """Run the processes of the stack's own services, in new pods. Raises UserError where the stack has none."""
    services = api.list(*_KIND, _NAMESPACE)
    if not services:
        raise UserError(
            "The stack does not deploy promotion and rollout: `pulumi up` says why. Set groundwork:images.promotion."
        )
    for service in services:
        metadata = {"annotations": {PROCESS_ANNOTATION: "real"}}
        api.patch(service, {"spec": {"template": {"metadata": metadata}}})
    wait_for_step(
        lambda: all(_is_complete(service) for service in api.list(*_KIND, _NAMESPACE)),
        "The processes of the namespace lifecycle are not ready",
        lambda: f"Not ready: {', '.join(_list_incomplete(api))}; their output is in the rehearsal's folder `logs`.",
    )


def find_service_pod(api: ApiClient, service: str) -> str:
    """The name of a pod of one of the stack's own services."""
    label = f"app.kubernetes.io/component={service}"
    return str(api.list("v1", "Pod", _NAMESPACE, label_selector=label)[0]["metadata"]["name"])


def _list_incomplete(api: ApiClient) -> list[str]:
    return [each["metadata"]["name"] for each in api.list(*_KIND, _NAMESPACE) if not _is_complete(each)]


def _is_complete(service: Object) -> bool:
    """Whether all pods are of the present template, and ready, and those of former ones gone."""
    status, wanted = service.get("status", {}), service["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return status.get("observedGeneration") == service["metadata"]["generation"] and counts == [wanted] * 3


def commit_annotation(repository: GitOpsRepository, stack: str) -> None:
    """Make kwok leave the pods of the stack's models to the kubelet stub."""
    repository.commit(
        lambda clone: _annotate(clone / "stacks" / stack / "kustomization.yaml"),
        "Rehearse: run the processes of the models' pods for real",
    )


def _annotate(file: Path) -> None:
    kustomization = yaml.safe_load(file.read_text())
    path = "/spec/predictor/annotations/" + PROCESS_ANNOTATION.replace("/", "~1")
    patch = [{"op": "add", "path": path, "value": "real"}]
    kustomization.setdefault("patches", []).append(
        {"target": {"kind": "InferenceService"}, "patch": yaml.safe_dump(patch, sort_keys=False)}
    )
    file.write_text(yaml.safe_dump(kustomization, sort_keys=False))
