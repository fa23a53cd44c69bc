"""Templates of charts for the tests of releases, and a change of a release's values. Proves nothing."""

from __future__ import annotations

from typing import Any

from rehearsal.kubernetes.control_plane.control_plane import ControlPlane

SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: "{{ .Values.level }}"}
"""
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: main, image: "registry.example/app:1", resources: {requests: {cpu: "{{ .Values.cpu }}"}}}
"""
HOOK = """
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {rehearsal.groundwork/exit-code: "{{ .Values.code }}"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "registry.example/migrate:1"}]
"""
HELD = """
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [example.org/nobody-here]}
"""
POD = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: own}
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec: {serviceAccountName: own, containers: [{name: main, image: "registry.example/app:1"}]}
"""
TOO_LARGE = "64"  # CPUs: more than any node of the tests has


def change_values(inputs: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**inputs, "values": {**inputs["values"], **values}}


def read_level(plane: ControlPlane, namespace: str) -> Any:
    """The value of `level` in the release's ConfigMap; None if there is no ConfigMap."""
    config_map = plane.api.get("v1", "ConfigMap", "settings", namespace)
    return config_map["data"]["level"] if config_map else None
