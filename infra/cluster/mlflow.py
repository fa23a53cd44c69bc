"""MLflow's tracking server and model registry."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import WORKLOADS, get_workload
from infra.cluster.disruption_budget import create_disruption_budget
from infra.cluster.flows import Flow, Pods, select_workload
from infra.cluster.pod_values import zone_anti_affinity
from infra.cluster.release import create_release
from infra.cluster.versions import MLFLOW, MLFLOW_IMAGE_TAG
from infra.contract import DatabaseContract, Foundation
from infra.core.component import Component, StackContext
from infra.people import Service

_WORKLOAD = get_workload("mlflow")
_POD_LABELS = {"app.kubernetes.io/name": "mlflow"}
_DATABASE_SECRET = "mlflow-database"  # noqa: S105 the secret's name
_WEBHOOK_SECRET = "mlflow-webhooks"  # noqa: S105 the secret's name

_PORT = 5000  # of the pods
SERVER = Pods(_WORKLOAD.namespace, "mlflow", _POD_LABELS)

_SERVICE = f"mlflow.{_WORKLOAD.namespace}.svc.cluster.local"
URL = f"http://{_SERVICE}"

# MLflow compares the whole Host header, including the port, with patterns that contain no asterisk. Clients send the
# service's name, Prometheus sends the pod's address and port.
ALLOWED_HOSTS = (
    "mlflow",
    f"mlflow.{_WORKLOAD.namespace}",
    f"mlflow.{_WORKLOAD.namespace}.svc",
    _SERVICE,
    f"{_SERVICE}:80",
    f"10.*:{_PORT}",
    *(f"172.{second}.*:{_PORT}" for second in range(16, 32)),
    f"192.168.*:{_PORT}",
)

# Webhooks go to the promotion's receiver, by http and to an address of the cluster, which MLflow refuses by default.
# Clients that may register webhooks could reach other services this way, so network policies allow only the receiver.
_WEBHOOK_SETTINGS = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}


@dataclass(frozen=True)
class MlflowArgs:
    context: StackContext
    foundation: Foundation


class Mlflow(Component):
    """The server, on the foundation's database. Clients upload artifacts directly, with their own identities."""

    layer = "cluster"
    flows = tuple(
        Flow(select_workload(workload), SERVER, _PORT, f"{workload.name}: calls the tracking server")
        for workload in WORKLOADS
        if workload.calls_mlflow
    )

    def __init__(self, name: str, args: MlflowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        secrets = [
            self._create_database_secret(f"{name}-database", args.foundation.tracking_db),
            self._create_webhook_secret(f"{name}-webhooks"),
        ]
        create_release(name, MLFLOW, _WORKLOAD.namespace, _values(args), self.child_options(depends_on=secrets))
        replicas = args.context.settings.resilience.replicas
        create_disruption_budget(name, _WORKLOAD.namespace, replicas, _POD_LABELS, self.child_options())
        self.register_outputs({"url": URL})

    def _create_database_secret(self, name: str, database: DatabaseContract) -> Secret:
        return Secret(
            name,
            metadata=ObjectMetaArgs(name=_DATABASE_SECRET, namespace=_WORKLOAD.namespace),
            string_data={"username": database.username, "password": database.password},
            opts=self.child_options(),
        )

    def _create_webhook_secret(self, name: str) -> Secret:
        """The key with which MLflow encrypts the secrets of webhooks in its database: 32 bytes in URL-safe Base64."""
        key = random.RandomPassword(f"{name}-key", length=32, special=False, opts=self.child_options())
        encoded = key.result.apply(lambda text: base64.urlsafe_b64encode(text.encode()).decode())
        return Secret(
            name,
            metadata=ObjectMetaArgs(name=_WEBHOOK_SECRET, namespace=_WORKLOAD.namespace),
            string_data={"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": pulumi.Output.secret(encoded)},
            opts=self.child_options(),
        )


def _values(args: MlflowArgs) -> Mapping[str, Any]:
    foundation = args.foundation
    identity = foundation.identities[_WORKLOAD.name]
    replicas = args.context.settings.resilience.replicas
    host = f"{Service.MLFLOW}.{args.context.naming.domain}"  # at the gateway
    return {
        "replicaCount": replicas,
        "affinity": zone_anti_affinity(replicas, _POD_LABELS),
        "image": {"tag": MLFLOW_IMAGE_TAG},
        "serviceAccount": {"create": False, "name": _WORKLOAD.service_account},
        "extraPodLabels": dict(identity.pod_labels),
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "backendStore": {
            # The migration fails until the database is reachable. The chart's own check has no resource requests.
            "databaseMigration": True,
            "postgres": {
                "enabled": True,
                "host": foundation.tracking_db.host,
                "port": foundation.tracking_db.port,
                "database": foundation.tracking_db.database,
                "driver": "psycopg2",
            },
            "existingDatabaseSecret": {"name": _DATABASE_SECRET},
        },
        "artifactRoot": {"defaultArtifactRoot": foundation.artifacts.uri},
        "extraEnvVars": {**foundation.artifacts.environment, **_WEBHOOK_SETTINGS},
        "extraSecretNamesForEnvFrom": [_WEBHOOK_SECRET],
        "serverAllowedHosts": [*ALLOWED_HOSTS, host],
        "corsAllowedOrigins": [f"https://{host}"],
        # The service's port: without it, the chart's monitor refers to a port that does not exist.
        "serviceMonitor": {"enabled": True, "useServicePort": True, "namespace": _WORKLOAD.namespace},
    }
