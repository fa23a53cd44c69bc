"""Experiments: the router, which answers for champion and challenger, the writer of what it records, and decisions.

Router and writer run in one pod of a StatefulSet: the router adds records to a spool on the pod's own volume, and the
writer moves them to the stack's store. While the store is not available, they wait on the volume, which outlives the
pod. The experiments themselves are a file in the GitOps repository, which Argo CD applies as a ConfigMap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import get_workload
from infra.cluster import pod_values, process_telemetry
from infra.cluster.disruption_budget import create_disruption_budget
from infra.cluster.experiment_decisions import ExperimentDecisions, ExperimentDecisionsArgs
from infra.cluster.experiment_routes import ExperimentRoutes, ExperimentRoutesArgs
from infra.cluster.flows import Flow, select_workload
from infra.cluster.http_service import HTTP, create_service, create_service_monitor
from infra.cluster.lifecycle import IMAGE_USER, MODELS
from infra.cluster.storage import STORAGE_CLASS
from infra.contract import Foundation
from infra.core.component import Component, StackContext

IMAGE = "experiment"
CONFIG_MAP = "experiments"  # with the key `experiments.yaml`; from the GitOps repository
ROUTER_PORT, WRITER_PORT = 8000, 8080
_WRITER = {"name": "writer", "port": WRITER_PORT, "targetPort": "writer", "protocol": "TCP"}

_WORKLOAD = get_workload("experiment-router")
ROUTER = select_workload(_WORKLOAD)
_NAME, _NAMESPACE, _LABELS = _WORKLOAD.name, _WORKLOAD.namespace, _WORKLOAD.pod_labels
USER_ID_KEY = "user-id-key"  # the Secret's name; its key is the name of the file that processes read
_FILES, _SECRETS, _SPOOL = "/etc/experiments", "/run/secrets/groundwork", "/var/spool/experiment"
_SPOOL_SIZE = "1Gi"
# Size of the volume, with room for the journal and for a damaged spool that was moved aside.
_SPOOL_BYTES = 640 << 20


@dataclass(frozen=True)
class ExperimentsArgs:
    context: StackContext
    foundation: Foundation


class Experiments(Component):
    """The StatefulSet with its Service, budget, monitor and routes; without an image, only the key of users' IDs."""

    layer = "cluster"
    flows = (
        *ExperimentRoutes.flows,
        *ExperimentDecisions.flows,
        Flow(ROUTER, MODELS, ROUTER_PORT, "requests predictions of champion and challenger"),
    )

    def __init__(self, name: str, args: ExperimentsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        # Serving uses it too, so that a user has the same ID in its inference log.
        key = self._create_key()
        if not args.context.settings.images.experiment:
            # Not an error: the first deployment of a stack creates the registry that the image is pushed to.
            self.warn(
                "The router of experiments is not deployed, and no decisions are made: images.experiment is not set. "
                "Build platform/lifecycle/images/experiment, push it to the stack's registry, and set "
                "images.experiment to its digest."
            )
            self.register_outputs({})
            return
        replicas = args.context.settings.resilience.replicas
        # No dependency, since each would wait for the other: a Service is ready once it has endpoints.
        service = create_service(_NAME, _NAMESPACE, _LABELS, self.child_options(), (HTTP, _WRITER))
        self._create_stateful_set(replicas, key)
        create_disruption_budget(_NAME, _NAMESPACE, replicas, _LABELS, self.child_options())
        create_service_monitor(_NAME, _NAMESPACE, _LABELS, self.child_options(), ("http", "writer"))
        routes = ExperimentRoutesArgs(args.context, args.foundation.secrets, _NAME)
        ExperimentRoutes(f"{name}-routes", routes, self.child_options(depends_on=[service]))
        decisions = ExperimentDecisionsArgs(args.context, args.foundation, self._image, CONFIG_MAP)
        ExperimentDecisions(f"{name}-decisions", decisions, self.child_options())
        self.register_outputs({})

    @property
    def _image(self) -> pulumi.Output[str]:
        return self._args.foundation.registry.locate(IMAGE, self._args.context.settings.images.experiment)

    def _create_key(self) -> Secret:
        key = random.RandomPassword(USER_ID_KEY, length=48, special=False, opts=self.child_options())
        content = {"user_id_key": key.result}
        return Secret(USER_ID_KEY, metadata=_metadata(USER_ID_KEY), string_data=content, opts=self.child_options())

    def _create_stateful_set(self, replicas: int, key: Secret) -> None:
        claim = {
            "metadata": {"name": "spool"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": STORAGE_CLASS,
                "resources": {"requests": {"storage": _SPOOL_SIZE}},
            },
        }
        StatefulSet(
            _NAME,
            metadata=_metadata(_NAME, _LABELS),
            spec={
                "replicas": replicas,
                "serviceName": _NAME,
                "podManagementPolicy": "Parallel",  # the routers are independent of each other
                "selector": {"matchLabels": dict(_LABELS)},
                "template": self._build_pod(replicas),
                "volumeClaimTemplates": [claim],
            },
            opts=self.child_options(depends_on=[key]),
        )

    def _build_pod(self, replicas: int) -> Mapping[str, Any]:
        identity = self._args.foundation.identities[_WORKLOAD.name]
        return {
            "metadata": {"labels": {**_LABELS, **identity.pod_labels}},
            "spec": {
                "serviceAccountName": _WORKLOAD.service_account,
                "automountServiceAccountToken": False,
                "securityContext": pod_values.restrict_pod(IMAGE_USER),
                "terminationGracePeriodSeconds": 60,
                "topologySpreadConstraints": pod_values.zone_spread(replicas, _LABELS),
                "containers": [self._build_router(), self._build_writer()],
                "volumes": [
                    {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
                    # It may be synced only after the router has started, which reads it then.
                    {"name": "experiments", "configMap": {"name": CONFIG_MAP, "optional": True}},
                    {"name": "secrets", "secret": {"secretName": USER_ID_KEY, "defaultMode": 0o440}},
                    *process_telemetry.list_volumes(self._args.context.settings),
                ],
            },
        }

    def _build_router(self) -> Mapping[str, Any]:
        environment = {
            "EXPERIMENT_FILE": f"{_FILES}/experiments.yaml",
            "EXPERIMENT_HOST": "0.0.0.0",  # noqa: S104 the pod's own address
            "EXPERIMENT_PORT": str(ROUTER_PORT),
            "EXPERIMENT_SECRETS_DIR": _SECRETS,
        }
        mounts = [
            {"name": "experiments", "mountPath": _FILES, "readOnly": True},
            {"name": "secrets", "mountPath": _SECRETS, "readOnly": True},
        ]
        resources = pod_values.resources("100m", "192Mi", "512Mi")
        return self._build_container("router", "serve", ("http", ROUTER_PORT), resources, environment, mounts)

    def _build_writer(self) -> Mapping[str, Any]:
        experiments = self._args.foundation.experiments
        environment = {
            "HOST": "0.0.0.0",  # noqa: S104 the pod's own address
            "PORT": str(WRITER_PORT),
            "EXPERIMENT_STORE": experiments.store,
            "EXPERIMENT_RETENTION_DAYS": str(self._args.context.settings.experiments.retention_days),
            **experiments.environment,
        }
        resources = pod_values.resources("50m", "192Mi", "384Mi")
        return self._build_container("writer", "write", ("writer", WRITER_PORT), resources, environment, [])

    def _build_container(
        self,
        name: str,
        argument: str,
        port: tuple[str, int],
        resources: Mapping[str, Any],
        environment: Mapping[str, pulumi.Input[str]],
        mounts: Sequence[Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        shared = {
            "EXPERIMENT_FOLDER": _SPOOL,
            "EXPERIMENT_SPOOL_MAX_BYTES": str(_SPOOL_BYTES),
            **process_telemetry.describe_environment(self._args.context),
        }
        return {
            "name": name,
            "image": self._image,
            "args": [argument],
            "env": [{"name": key, "value": value} for key, value in {**shared, **environment}.items()],
            "ports": [{"name": port[0], "containerPort": port[1], "protocol": "TCP"}],
            "resources": resources,
            "securityContext": pod_values.RESTRICTED_CONTAINER,
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 the container's
                {"name": "spool", "mountPath": _SPOOL},
                *mounts,
                *process_telemetry.list_mounts(self._args.context.settings),
            ],
            **pod_values.probe(port[0]),
        }


def _metadata(name: str, labels: Mapping[str, str] | None = None) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name, namespace=_NAMESPACE, labels=labels)
