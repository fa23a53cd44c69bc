"""Drift: the collector, which receives the inference log from serving, and the nightly check of all champions.

Both run the image `drift` of platform/lifecycle. The collector exposes the metrics of checks: it reads the last report
on each model, which the check stores beside the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.batch.v1 import CronJob
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import Workload, get_workload
from infra.cluster import mlflow, pod_values, process_telemetry
from infra.cluster.disruption_budget import create_disruption_budget
from infra.cluster.flows import Flow, select_workload
from infra.cluster.http_service import create_service, create_service_monitor
from infra.cluster.lifecycle import IMAGE_USER, MODELS
from infra.cluster.retraining_access import TOKEN_KEY, TOKEN_SECRET, URL, is_deployed
from infra.contract import Foundation
from infra.core.component import Component, StackContext

IMAGE = "drift"
PORT = 8080
SCHEDULE = "0 2 * * *"  # at night, when a window of 24 hours covers a whole day, and before working hours

COLLECTOR, CHECK = get_workload("drift-collector"), get_workload("drift-check")
_NAMESPACE = COLLECTOR.namespace
_SPOOL, _SECRETS = "/var/spool/drift", "/run/secrets/groundwork"
_TOKEN_MOUNT = {"name": "token", "mountPath": _SECRETS, "readOnly": True}
_TOKEN_VOLUME = {
    "name": "token",
    "secret": {
        "secretName": TOKEN_SECRET,
        "items": [{"key": TOKEN_KEY, "path": "drift_event_token"}],
        "defaultMode": 0o440,
    },
}


@dataclass(frozen=True)
class DriftArgs:
    context: StackContext
    foundation: Foundation


class Drift(Component):
    """The collector with its Service, budget and monitor, and the CronJob; nothing if the image is not set."""

    layer = "cluster"
    flows = (Flow(MODELS, select_workload(COLLECTOR), PORT, "sends the inference log"),)

    def __init__(self, name: str, args: DriftArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        if not args.context.settings.images.drift:
            # Not an error: the first deployment of a stack creates the registry that the image is pushed to.
            self.warn(
                "The inference log is not collected, and nothing is checked for drift: images.drift is not set. Build "
                "platform/lifecycle/images/drift, push it to the stack's registry, and set images.drift to its digest."
            )
            self.register_outputs({})
            return
        replicas = args.context.settings.resilience.replicas
        self._create_collector(replicas)
        create_disruption_budget(COLLECTOR.name, _NAMESPACE, replicas, COLLECTOR.pod_labels, self.child_options())
        create_service(COLLECTOR.name, _NAMESPACE, COLLECTOR.pod_labels, self.child_options())
        create_service_monitor(COLLECTOR.name, _NAMESPACE, COLLECTOR.pod_labels, self.child_options())
        self._create_check()
        self.register_outputs({})

    def _create_collector(self, replicas: int) -> None:
        container = {
            **self._build_container(COLLECTOR, ["collect"], pod_values.resources("50m", "256Mi", "2Gi")),
            "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
            **pod_values.probe("http"),
        }
        # Events wait there for the store, for as long as the pod exists.
        spool = {"name": "spool", "emptyDir": {"sizeLimit": "1Gi"}}
        settings = self._args.context.settings
        mounts = [{"name": "spool", "mountPath": _SPOOL}, *process_telemetry.list_mounts(settings)]
        container["volumeMounts"] = [*container["volumeMounts"], *mounts]
        pod = self._build_pod(COLLECTOR, container)
        pod["spec"]["volumes"] += [spool, *process_telemetry.list_volumes(settings)]
        pod["spec"]["topologySpreadConstraints"] = pod_values.zone_spread(replicas, COLLECTOR.pod_labels)
        Deployment(
            COLLECTOR.name,
            metadata=_metadata(COLLECTOR.name, COLLECTOR.pod_labels),
            spec={
                "replicas": replicas,
                "selector": {"matchLabels": dict(COLLECTOR.pod_labels)},
                "template": pod,
            },
            opts=self.child_options(),
        )

    def _create_check(self) -> None:
        container = self._build_container(CHECK, ["check", "--all"], pod_values.resources("250m", "512Mi", "3Gi"))
        pod = self._build_pod(CHECK, container)
        pod["spec"]["restartPolicy"] = "Never"
        if is_deployed(self._args.context.settings):
            container["volumeMounts"] = [*container["volumeMounts"], _TOKEN_MOUNT]
            pod["spec"]["volumes"].append(_TOKEN_VOLUME)
        CronJob(
            CHECK.name,
            metadata=_metadata(CHECK.name, CHECK.pod_labels),
            spec={
                "schedule": SCHEDULE,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 3600,
                "jobTemplate": {
                    # A model that cannot be checked fails again; a temporary failure is retried once.
                    "spec": {"backoffLimit": 1, "activeDeadlineSeconds": 6 * 3600, "template": pod}
                },
            },
            opts=self.child_options(),
        )

    def _build_container(
        self, workload: Workload, arguments: list[str], resources: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "name": workload.name,
            "image": self._args.foundation.registry.locate(IMAGE, self._args.context.settings.images.drift),
            "args": arguments,
            "env": [{"name": name, "value": value} for name, value in self._environment(workload).items()],
            "resources": resources,
            "securityContext": pod_values.RESTRICTED_CONTAINER,
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 the container's
        }

    def _build_pod(self, workload: Workload, container: Mapping[str, Any]) -> dict[str, Any]:
        identity = self._args.foundation.identities[workload.name]
        return {
            "metadata": {"labels": {**workload.pod_labels, **identity.pod_labels}},
            "spec": {
                "serviceAccountName": workload.service_account,
                "automountServiceAccountToken": False,
                "securityContext": pod_values.restrict_pod(IMAGE_USER),
                "terminationGracePeriodSeconds": 60,  # to write waiting events, which the collector does when it stops
                "containers": [container],
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "8Gi"}}],  # the downloaded log of a window
            },
        }

    def _environment(self, workload: Workload) -> Mapping[str, pulumi.Input[str]]:
        inferences = self._args.foundation.inferences
        store = {"DRIFT_STORE": inferences.uri, **inferences.environment}
        if workload is CHECK:
            return {"MLFLOW_TRACKING_URI": mlflow.URL, **store, **self._describe_sink()}
        return {
            "HOST": "0.0.0.0",  # noqa: S104 the pod's own address
            "PORT": str(PORT),
            "DRIFT_COLLECT_FOLDER": _SPOOL,
            **process_telemetry.describe_environment(self._args.context),
            **store,
        }

    def _describe_sink(self) -> Mapping[str, str]:
        """Where drift events are sent: to the retraining service, if it is deployed."""
        if not is_deployed(self._args.context.settings):
            return {}
        return {"DRIFT_EVENT_SINK": f"{URL}/events", "PROMOTION_SECRETS_DIR": _SECRETS}


def _metadata(name: str, labels: Mapping[str, str] | None = None) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name, namespace=_NAMESPACE, labels=labels)
