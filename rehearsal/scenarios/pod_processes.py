"""Makes kwok ignore pods whose processes the kubelet stub runs.

A label on the pods does this: on the models' pods in the GitOps repository, and in the cluster on the pods of the
stack's own services, of its CronJobs' Jobs and of training runs. Apart from the number of a model's pods, the label is
the only difference from production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rehearsal.console import UserError
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.scenarios.kubelet_stub import PROCESS_LABEL
from rehearsal.scenarios.waiting import wait_for_step

_NAMESPACE, _MODELS = "lifecycle", "serving"
_DEPLOYMENT, _STATEFUL_SET = ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet")
_CRON_JOB = ("batch/v1", "CronJob")
_TRAINING = ("retraining-job", "job.json")  # the ConfigMap with the Job of training runs, and its file
_LABELLED: Mapping[str, Any] = {"metadata": {"labels": {PROCESS_LABEL: "real"}}}


def run_services(api: ApiClient) -> None:
    """Run the processes of the stack's own services, in new pods. Raises UserError if the stack has none."""
    if not api.list(*_DEPLOYMENT, _NAMESPACE):
        raise UserError(
            "The stack does not deploy promotion and rollout: set groundwork:images.promotion. `pulumi up` prints why."
        )
    _label_jobs(api)
    for service in _list_services(api):
        api.patch(service, {"spec": {"template": _LABELLED}})
    wait_for_step(
        lambda: not _list_incomplete(api),
        "The processes of the stack's own services are not ready",
        lambda: f"Not ready: {', '.join(_list_incomplete(api))}; their output is in the rehearsal's folder `logs`.",
    )


def _list_services(api: ApiClient) -> list[Object]:
    """The Deployments of the platform's services, and the router of experiments in the models' namespace."""
    return [*api.list(*_DEPLOYMENT, _NAMESPACE), *api.list(*_STATEFUL_SET, _MODELS)]


def _label_jobs(api: ApiClient) -> None:
    """Label the pods of Jobs that CronJobs or retraining create from now on."""
    for namespace in (_NAMESPACE, _MODELS):
        for cron_job in api.list(*_CRON_JOB, namespace):
            api.patch(cron_job, {"spec": {"jobTemplate": {"spec": {"template": _LABELLED}}}})
    name, file = _TRAINING
    config_map = api.get("v1", "ConfigMap", name, _NAMESPACE)
    if config_map is not None:
        job = json.loads(config_map["data"][file])
        job["spec"]["template"]["metadata"]["labels"][PROCESS_LABEL] = "real"
        api.patch(config_map, {"data": {file: json.dumps(job)}})


def find_service_pod(api: ApiClient, service: str) -> str:
    """The name of a pod of one of the stack's own services."""
    label = f"app.kubernetes.io/component={service}"
    return str(api.list("v1", "Pod", _NAMESPACE, label_selector=label)[0]["metadata"]["name"])


def _list_incomplete(api: ApiClient) -> list[str]:
    return [each["metadata"]["name"] for each in _list_services(api) if not _is_complete(each)]


def _is_complete(service: Object) -> bool:
    """Whether all pods are ready and of the current template, and none of an earlier template is left."""
    status, wanted = service.get("status", {}), service["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return status.get("observedGeneration") == service["metadata"]["generation"] and counts == [wanted] * 3


def commit_label(repository: GitOpsRepository, stack: str) -> None:
    """Make kwok ignore the pods of the stack's models, and limit them to one for each role: this is one machine."""
    repository.commit(
        lambda clone: _label(clone / "stacks" / stack / "kustomization.yaml"),
        "Rehearse: run the processes of the models' pods for real",
    )


def _label(file: Path) -> None:
    kustomization = yaml.safe_load(file.read_text())
    path = "/spec/predictor/labels/" + PROCESS_LABEL.replace("/", "~1")
    patch = [
        {"op": "add", "path": path, "value": "real"},
        {"op": "replace", "path": "/spec/predictor/minReplicas", "value": 1},
    ]
    kustomization.setdefault("patches", []).append(
        {"target": {"kind": "InferenceService"}, "patch": yaml.safe_dump(patch, sort_keys=False)}
    )
    file.write_text(yaml.safe_dump(kustomization, sort_keys=False))
