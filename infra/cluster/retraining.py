"""Continuous training: the service that starts training runs, and the nightly schedule that requests them.

The service runs the image `promotion` of platform/lifecycle; it creates a Job in the namespace `training` for each run,
from the template that this module writes, with the image `training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.batch.v1 import CronJob
from pulumi_kubernetes.core.v1 import ConfigMap, Secret, ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from infra.access import RETRAINING, get_workload
from infra.cluster import pod_values, process_telemetry
from infra.cluster.alert_receivers import ALERTMANAGER
from infra.cluster.disruption_budget import create_disruption_budget
from infra.cluster.drift import CHECK
from infra.cluster.flows import Flow, Place, Pods, select_workload
from infra.cluster.http_service import create_service, create_service_monitor
from infra.cluster.lifecycle import IMAGE, IMAGE_USER
from infra.cluster.namespaces import MONITORING
from infra.cluster.retraining_access import (
    ALERTS,
    PORT,
    TOKEN_KEY,
    TOKEN_SECRET,
    URL,
    find_missing_setting,
    is_deployed,
)
from infra.cluster.training_job import TRAINING_IMAGE, build_job
from infra.contract import Foundation
from infra.core.component import Component, StackContext
from infra.people import Service

SCHEDULE = "0 2 * * *"

_NAME, _NAMESPACE = RETRAINING.name, RETRAINING.namespace
_SCHEDULE_NAME = f"{_NAME}-schedule"
_TRAINING = get_workload("training")
_LABELS = {"app.kubernetes.io/name": _NAME}
_SCHEDULE_LABELS = {"app.kubernetes.io/name": _SCHEDULE_NAME}
SERVER = Pods(_NAMESPACE, _NAME, _LABELS)
_TEMPLATE = "retraining-job"
_TEMPLATE_FOLDER, _SECRETS, _CREDENTIALS = "/etc/retraining", "/run/secrets/groundwork", "/run/secrets/kubernetes"
_NOTIFICATIONS = "notifications"  # the Secret that the promotion's component creates

RULES: Sequence[Mapping[str, Sequence[str]]] = (
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "list", "patch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
)


@dataclass(frozen=True)
class RetrainingArgs:
    context: StackContext
    foundation: Foundation


class Retraining(Component):
    """The service with its role, template, token, budget and monitor, and the CronJob; nothing if no models are set."""

    layer = "cluster"
    flows = (
        Flow(ALERTMANAGER, SERVER, PORT, "delivers alerts that start a retraining"),
        Flow(select_workload(CHECK), SERVER, PORT, "sends events of drift"),
        Flow(select_workload(_TRAINING), SERVER, PORT, "sends events of new data"),
        Flow(Pods(_NAMESPACE, _SCHEDULE_NAME, _SCHEDULE_LABELS), SERVER, PORT, "requests the scheduled runs"),
        Flow(SERVER, Place.API_SERVER, reason="starts Jobs, and watches how they end"),
        *(Flow(SERVER, place, 443, "notifies") for place in (Place.INTERNET, Place.PRIVATE_NETWORK)),
    )

    def __init__(self, name: str, args: RetrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._settings = args.context.settings
        if not is_deployed(self._settings):
            self._warn(find_missing_setting(self._settings))
            self.register_outputs({})
            return
        replicas = self._settings.resilience.replicas
        account = ServiceAccount(
            _NAME, metadata=_metadata(_NAME), automount_service_account_token=False, opts=self.child_options()
        )
        needed = [account, *self._allow(), *self._create_tokens(), self._create_template()]
        self._create_deployment(replicas, needed)
        create_disruption_budget(_NAME, _NAMESPACE, replicas, _LABELS, self.child_options())
        create_service(_NAME, _NAMESPACE, _LABELS, self.child_options())
        create_service_monitor(_NAME, _NAMESPACE, _LABELS, self.child_options())
        self._create_schedule(needed)
        self.register_outputs({})

    def _warn(self, image: str) -> None:
        if image:
            # Not an error: the first deployment of a stack creates the registry that the image is pushed to.
            self.warn(
                f"No model is retrained: images.{image} is not set. Build platform/lifecycle/images/{image}, push it "
                f"to the stack's registry, and set images.{image} to its digest."
            )

    def _allow(self) -> Sequence[pulumi.Resource]:
        """The service's permissions, which are limited to the namespace of the runs."""
        metadata = ObjectMetaArgs(name=_NAME, namespace=_TRAINING.namespace)
        role = Role(_NAME, metadata=metadata, rules=list(RULES), opts=self.child_options())
        binding = RoleBinding(
            _NAME,
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": _NAME},
            subjects=[{"kind": "ServiceAccount", "name": RETRAINING.service_account, "namespace": _NAMESPACE}],
            opts=self.child_options(depends_on=[role]),
        )
        return role, binding

    def _create_tokens(self) -> Sequence[pulumi.Resource]:
        """The token, for the service and in the namespaces of its clients."""
        token = random.RandomPassword(TOKEN_SECRET, length=48, special=False, opts=self.child_options())
        return [
            Secret(
                f"{namespace}-{TOKEN_SECRET}",
                metadata=ObjectMetaArgs(name=TOKEN_SECRET, namespace=namespace),
                string_data={TOKEN_KEY: token.result},
                opts=self.child_options(),
            )
            for namespace in (_NAMESPACE, MONITORING, _TRAINING.namespace)
        ]

    def _create_template(self) -> ConfigMap:
        job = build_job(
            self._args.foundation, self._args.foundation.registry.locate(TRAINING_IMAGE, self._settings.images.training)
        )
        return ConfigMap(
            _TEMPLATE,
            metadata=_metadata(_TEMPLATE),
            data={"job.json": pulumi.Output.json_dumps(job, indent=2)},
            opts=self.child_options(),
        )

    def _create_deployment(self, replicas: int, after: Sequence[pulumi.Resource]) -> None:
        mounts = {"template": _TEMPLATE_FOLDER, "kubernetes": _CREDENTIALS}
        container = self._build_container("serve", self._describe_environment(), mounts)
        container["volumeMounts"] += process_telemetry.list_mounts(self._settings)
        container |= {"ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}], **pod_values.probe("http")}
        spec = self._build_pod_spec(container, [TOKEN_SECRET, *self._notifications])
        spec["topologySpreadConstraints"] = pod_values.zone_spread(replicas, _LABELS)
        spec["volumes"] += [{"name": "template", "configMap": {"name": _TEMPLATE}}, _API_VOLUME]
        spec["volumes"] += process_telemetry.list_volumes(self._settings)
        Deployment(
            _NAME,
            metadata=_metadata(_NAME, _LABELS),
            spec={
                "replicas": replicas,
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": spec},
            },
            opts=self.child_options(depends_on=list(after)),
        )

    def _create_schedule(self, after: Sequence[pulumi.Resource]) -> None:
        container = self._build_container("schedule", {"RETRAINING_URL": URL}, {})
        spec = {**self._build_pod_spec(container, [TOKEN_SECRET]), "restartPolicy": "Never"}
        pod = {"metadata": {"labels": _SCHEDULE_LABELS}, "spec": spec}
        CronJob(
            _SCHEDULE_NAME,
            metadata=_metadata(_SCHEDULE_NAME, _SCHEDULE_LABELS),
            spec={
                "schedule": SCHEDULE,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 3600,
                "suspend": not self._settings.retraining.scheduled,
                "jobTemplate": {"spec": {"backoffLimit": 3, "activeDeadlineSeconds": 1800, "template": pod}},
            },
            opts=self.child_options(depends_on=list(after)),
        )

    def _build_container(
        self, command: str, environment: Mapping[str, pulumi.Input[str]], mounts: Mapping[str, str]
    ) -> dict[str, Any]:
        folders = {"tmp": "/tmp", "secrets": _SECRETS, **mounts}  # noqa: S108 the container's
        return {
            "name": _NAME,
            "image": self._args.foundation.registry.locate(IMAGE, self._settings.images.promotion),
            "args": ["lifecycle.retraining", command],
            "env": [
                {"name": name, "value": value}
                for name, value in {"PROMOTION_SECRETS_DIR": _SECRETS, **environment}.items()
            ],
            "resources": pod_values.resources("25m", "192Mi", "384Mi"),
            "securityContext": pod_values.RESTRICTED_CONTAINER,
            "volumeMounts": [
                {"name": name, "mountPath": path, **({} if name == "tmp" else {"readOnly": True})}
                for name, path in folders.items()
            ],
        }

    def _build_pod_spec(self, container: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
        sources = [{"secret": {"name": name}} for name in secrets]
        return {
            "serviceAccountName": RETRAINING.service_account,
            "automountServiceAccountToken": False,
            "securityContext": pod_values.restrict_pod(IMAGE_USER),
            "containers": [container],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
                {"name": "secrets", "projected": {"sources": sources, "defaultMode": 0o440}},
            ],
        }

    @property
    def _notifications(self) -> Sequence[str]:
        return [_NOTIFICATIONS] if self._settings.lifecycle.notifications and self._settings.gitops.repository else []

    def _describe_environment(self) -> Mapping[str, str]:
        context, retraining = self._args.context, self._settings.retraining
        return {
            "HOST": "0.0.0.0",  # noqa: S104 the pod's own address
            "PORT": str(PORT),
            "RETRAINING_MODELS": ",".join(retraining.models),
            "RETRAINING_SCHEDULED": ",".join(retraining.scheduled),
            "RETRAINING_ALERTS": ",".join(ALERTS),
            "RETRAINING_COOL_DOWN_HOURS": str(retraining.cool_down_hours),
            "RETRAINING_TEMPLATE": f"{_TEMPLATE_FOLDER}/job.json",
            "RETRAINING_NAMESPACE": _TRAINING.namespace,
            "RETRAINING_API_CREDENTIALS": _CREDENTIALS,
            "RETRAINING_STACK": context.naming.stack,
            **process_telemetry.describe_environment(context),
            "RETRAINING_RUN_URL": f"https://{Service.MLFLOW}.{context.naming.domain}/#/runs/{{run}}",
        }


# The content of a pod's automatic token mount, for the one container that calls the API server.
_API_VOLUME: Mapping[str, Any] = {
    "name": "kubernetes",
    "projected": {
        "defaultMode": 0o440,
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        ],
    },
}


def _metadata(name: str, labels: Mapping[str, str] | None = None) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name, namespace=_NAMESPACE, labels=labels)
