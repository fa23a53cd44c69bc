"""The template of a training run's Job; `lifecycle.retraining` adds the model, a name and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.access import get_workload
from infra.cluster import mlflow, pod_values
from infra.cluster.lifecycle import IMAGE_USER
from infra.contract import Foundation

TRAINING_IMAGE = "training"

_TRAINING = get_workload("training")
_REPORT = "/dev/termination-log"  # the kubelet adds its content to the pod's status
_DEADLINE = 6 * 3600  # seconds


def build_job(foundation: Foundation, image: pulumi.Input[str]) -> Mapping[str, Any]:
    """The manifest, as an input that may contain outputs."""
    identity = foundation.identities[_TRAINING.name]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": _TRAINING.namespace, "labels": {"app.kubernetes.io/name": "training-run"}},
        "spec": {
            # A failed run would fail again, or was refused; only a pod whose node is drained is replaced.
            # Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
            "backoffLimit": 0,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "activeDeadlineSeconds": _DEADLINE,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "training-run", **identity.pod_labels}},
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": _TRAINING.service_account,
                    "automountServiceAccountToken": False,
                    "securityContext": pod_values.restrict_pod(IMAGE_USER),
                    "containers": [_build_container(foundation, image)],
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "8Gi"}}],
                },
            },
        },
    }


def _build_container(foundation: Foundation, image: pulumi.Input[str]) -> Mapping[str, Any]:
    artifacts = foundation.artifacts
    environment = {
        # $(TRAINING_MODEL) is the kubelet's syntax for a preceding variable, which the service adds.
        "TRAINING_EXPERIMENT": "$(TRAINING_MODEL)",
        "TRAINING_SOURCE": "remote:$(TRAINING_MODEL).csv",
        "TRAINING_DATA_REMOTE": artifacts.uri.apply(lambda uri: f"{str(uri).rstrip('/')}/data"),
        "MLFLOW_TRACKING_URI": mlflow.URL,
        **artifacts.environment,
    }
    return {
        "name": "training",
        "image": image,
        "args": ["run", "--report", _REPORT],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": pod_values.resources("1", "2Gi", "6Gi"),
        "securityContext": pod_values.RESTRICTED_CONTAINER,
        "terminationMessagePath": _REPORT,
        # If it could not report how it ended, the end of its log is used.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 the container's
    }
