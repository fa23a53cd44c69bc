"""Decisions on experiments: a CronJob that tells the rollout, in challengers' versions, what to do with them.

It runs the router's image. It may run often, since verdicts are valid at any number of looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.batch.v1 import CronJob
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import get_workload
from infra.cluster import mlflow, pod_values
from infra.cluster.external_secrets import create_external_secret
from infra.cluster.flows import Flow, Place, select_workload
from infra.cluster.lifecycle import IMAGE_USER
from infra.contract import Foundation
from infra.core.component import Component, StackContext

SCHEDULE = "*/15 * * * *"

WORKLOAD = get_workload("experiments-decide")
_NAMESPACE = WORKLOAD.namespace
_FILES, _SECRETS = "/etc/experiments", "/run/secrets/groundwork"
_NOTIFICATIONS = "notifications"  # the Secret's name


@dataclass(frozen=True)
class ExperimentDecisionsArgs:
    """config_map: name of a ConfigMap with the key `experiments.yaml`, in the router's namespace"""

    context: StackContext
    foundation: Foundation
    image: pulumi.Output[str]
    config_map: str


class ExperimentDecisions(Component):
    """The CronJob, and the address that notifications are sent to, if the stack has one."""

    layer = "cluster"
    flows = tuple(
        Flow(select_workload(WORKLOAD), place, 443, "notifies") for place in (Place.INTERNET, Place.PRIVATE_NETWORK)
    )

    def __init__(self, name: str, args: ExperimentDecisionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        notifications = args.context.settings.lifecycle.notifications
        after = [self._create_notifications(notifications)] if notifications else []
        CronJob(
            WORKLOAD.name,
            metadata=ObjectMetaArgs(name=WORKLOAD.name, namespace=_NAMESPACE, labels=WORKLOAD.pod_labels),
            spec={
                "schedule": SCHEDULE,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 600,
                # No retry: the next run does the same.
                "jobTemplate": {"spec": {"backoffLimit": 0, "activeDeadlineSeconds": 3600, "template": self._pod}},
            },
            opts=self.child_options(depends_on=after),
        )
        self.register_outputs({})

    def _create_notifications(self, secret: str) -> pulumi.Resource:
        """A copy of the Secret that promotion and rollout have in their namespace."""
        keys, store = {"notify_slack_url": secret}, self._args.foundation.secrets
        created: pulumi.Resource = create_external_secret(
            store, _NOTIFICATIONS, _NAMESPACE, keys, "lifecycle.notifications", self.child_options()
        )
        return created

    @property
    def _pod(self) -> Mapping[str, Any]:
        identity = self._args.foundation.identities[WORKLOAD.name]
        container = {
            "name": WORKLOAD.name,
            "image": self._args.image,
            "args": ["decide", "--all"],
            "env": [{"name": name, "value": value} for name, value in self._environment.items()],
            "resources": pod_values.resources("250m", "512Mi", "3Gi"),
            "securityContext": pod_values.RESTRICTED_CONTAINER,
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 the container's
                {"name": "experiments", "mountPath": _FILES, "readOnly": True},
                {"name": "secrets", "mountPath": _SECRETS, "readOnly": True},
            ],
        }
        secret = {"secretName": _NOTIFICATIONS, "optional": True, "defaultMode": 0o440}
        return {
            "metadata": {"labels": {**WORKLOAD.pod_labels, **identity.pod_labels}},
            "spec": {
                "serviceAccountName": WORKLOAD.service_account,
                "automountServiceAccountToken": False,
                "securityContext": pod_values.restrict_pod(IMAGE_USER),
                "restartPolicy": "Never",
                "containers": [container],
                "volumes": [
                    {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
                    {"name": "experiments", "configMap": {"name": self._args.config_map, "optional": True}},
                    {"name": "secrets", "secret": secret},
                ],
            },
        }

    @property
    def _environment(self) -> Mapping[str, pulumi.Input[str]]:
        foundation = self._args.foundation
        return {
            "EXPERIMENT_FILE": f"{_FILES}/experiments.yaml",
            "EXPERIMENT_STORE": foundation.experiments.store,
            "GITOPS_STACK": self._args.context.naming.stack,
            "MLFLOW_TRACKING_URI": mlflow.URL,
            "PROMOTION_SECRETS_DIR": _SECRETS,
            **foundation.artifacts.environment,
            **foundation.experiments.environment,
        }
