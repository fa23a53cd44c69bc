"""The access table: what each workload may access.

Cloud identities, roles, key grants, service accounts, network egress, tests and docs/access-matrix.md derive from it. A
workload that is not in it has no identity in the cloud, and access that is not in its row is denied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Store(StrEnum):
    """The foundation's services that workloads access."""

    ARTIFACTS = "artifacts"
    INFERENCES = "inferences"
    REGISTRY = "registry"
    EXPERIMENTS = "experiments"
    TRACKING_DB = "tracking database"
    LIFECYCLE_DB = "lifecycle database"
    SECRETS = "secrets"
    LOGS = "logs"
    TRACES = "traces"


class Access(StrEnum):
    READ = "read"
    WRITE = "read and write"
    # Databases have their own logins, so this grants only network access and no cloud role.
    CONNECT = "connect"


@dataclass(frozen=True)
class Workload:
    """A kind of pod: its namespace, its service account, its access, and whether it calls the tracking server.

    tables      the DynamoDB tables or Cosmos DB containers of the experiments' store that it may access
    pod_labels  labels that select its pods among those of other workloads in its namespace
    """

    name: str
    namespace: str
    service_account: str
    needs: Mapping[Store, Access] = field(default_factory=dict)
    calls_mlflow: bool = False
    tables: Sequence[str] = ()
    pod_labels: Mapping[str, str] = field(default_factory=dict)


def _named(name: str) -> Mapping[str, str]:
    return {"app.kubernetes.io/name": name}


WORKLOADS = (
    # The tracking server only reads artifacts: clients upload them directly, with their own identities.
    Workload("mlflow", "mlflow", "mlflow", {Store.ARTIFACTS: Access.READ, Store.TRACKING_DB: Access.CONNECT}),
    Workload(
        "training",
        "training",
        "training",
        {Store.ARTIFACTS: Access.WRITE, Store.EXPERIMENTS: Access.WRITE, Store.REGISTRY: Access.READ},
        calls_mlflow=True,
        tables=("models",),
    ),
    Workload(
        "serving",
        "serving",
        "serving",
        {Store.ARTIFACTS: Access.READ, Store.REGISTRY: Access.READ},
        calls_mlflow=True,
        # A label of all models, from the base of the GitOps repository.
        pod_labels={"app.kubernetes.io/part-of": "groundwork"},
    ),
    # Routes requests to champion and challenger, and writes what it records about them.
    Workload(
        "experiment-router",
        "serving",
        "experiment-router",
        {Store.EXPERIMENTS: Access.WRITE},
        tables=("assignments", "results"),
        pod_labels=_named("experiment-router"),
    ),
    # Analyses what the router recorded, and stores reports in the runs of the challengers' versions.
    Workload(
        "experiments-decide",
        "serving",
        "experiments-decide",
        {Store.ARTIFACTS: Access.WRITE, Store.EXPERIMENTS: Access.READ},
        calls_mlflow=True,
        tables=("results",),
        pod_labels=_named("experiments-decide"),
    ),
    # Brings the values of secrets into the cluster; other workloads have no access to the store of secrets.
    Workload("external-secrets", "external-secrets", "external-secrets", {Store.SECRETS: Access.READ}),
    Workload("loki", "monitoring", "loki", {Store.LOGS: Access.WRITE}, pod_labels=_named("loki")),
    Workload("tempo", "monitoring", "tempo", {Store.TRACES: Access.WRITE}, pod_labels=_named("tempo")),
    # Receives MLflow's webhooks into its inbox, and processes them.
    Workload(
        "promotion",
        "lifecycle",
        "promotion",
        {Store.ARTIFACTS: Access.READ, Store.LIFECYCLE_DB: Access.CONNECT},
        calls_mlflow=True,
        pod_labels=_named("promotion"),
    ),
    # Reads artifacts because its test predictions use rows that the version's training held out.
    Workload(
        "rollout",
        "lifecycle",
        "rollout",
        {Store.ARTIFACTS: Access.READ},
        calls_mlflow=True,
        pod_labels=_named("rollout"),
    ),
    # Collects the inference log from serving.
    Workload(
        "drift-collector",
        "lifecycle",
        "drift-collector",
        {Store.INFERENCES: Access.WRITE},
        pod_labels=_named("drift-collector"),
    ),
    # Compares inferences with the training reference, an artifact, and stores reports beside them.
    Workload(
        "drift-check",
        "lifecycle",
        "drift-check",
        {Store.ARTIFACTS: Access.READ, Store.INFERENCES: Access.WRITE},
        calls_mlflow=True,
        pod_labels=_named("drift-check"),
    ),
    # Steps of Kubeflow Pipelines, which read data and log models like training; only with `pipelines.enabled`.
    Workload(
        "pipelines",
        "kubeflow",
        "pipeline-runner",
        {Store.ARTIFACTS: Access.WRITE},
        calls_mlflow=True,
        pod_labels=_named("pipeline-run"),
    ),
)


@dataclass(frozen=True)
class Controller:
    """A controller that acts on the cloud itself, if the cloud leaves that to the platform, or on the cluster."""

    name: str
    namespace: str
    service_account: str
    may: str


KARPENTER = Controller(
    "karpenter",
    "karpenter",
    "karpenter",
    "start, tag and stop the cluster's nodes, and read notices of their termination",
)
LOAD_BALANCER_CONTROLLER = Controller(
    "load-balancer-controller",
    "aws-load-balancer-controller",
    "aws-load-balancer-controller",
    "manage the cluster's network load balancers and their security groups",
)
EKS_CONTROLLERS = (KARPENTER, LOAD_BALANCER_CONTROLLER)

# Starts training in the cluster, using only the Kubernetes API: it has no identity in the cloud.
RETRAINING = Controller(
    "retraining",
    "lifecycle",
    "retraining",
    "create, list and annotate Jobs, and list pods, in the namespace `training`",
)


def get_workload(name: str) -> Workload:
    """The row of the access table with this name."""
    return next(workload for workload in WORKLOADS if workload.name == name)
