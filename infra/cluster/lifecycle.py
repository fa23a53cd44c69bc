"""The platform's own services: promotion and rollout of models.

The receiver stores MLflow's webhooks in its inbox, the worker promotes each waiting version to a commit in the GitOps
repository, and the rollout's controller shifts requests to it. All run the image `promotion` of platform/lifecycle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pulumi
import pulumi_random as random
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import Workload, get_workload
from infra.cluster import mlflow, pod_values, process_telemetry
from infra.cluster.disruption_budget import create_disruption_budget
from infra.cluster.external_secrets import create_external_secret
from infra.cluster.flows import Flow, Place, Pods, select_workload
from infra.cluster.gateway import GATEWAY
from infra.cluster.gitops import find_path
from infra.cluster.http_service import create_service
from infra.cluster.namespaces import GATEWAY as GATEWAY_NAMESPACE
from infra.cluster.namespaces import MONITORING
from infra.contract import DatabaseContract, Foundation
from infra.core.component import Component, StackContext
from infra.core.settings import Settings
from infra.core.settings.gitops_rules import find_project

IMAGE = "promotion"
PORT = 8080  # of every process: webhooks, probes and metrics

_PROMOTION, _ROLLOUT = get_workload("promotion"), get_workload("rollout")
_NAMESPACE = _PROMOTION.namespace
# Seconds for all attempts to create the database: the pods' backoff between them takes eleven minutes.
_DATABASE_DEADLINE = 1800
IMAGE_USER = 10001  # of all of the platform's own images
_SECRETS_PATH = "/run/secrets/groundwork"
_PROMETHEUS = f"http://kube-prometheus-stack-prometheus.{MONITORING}.svc.cluster.local:9090"

# Secrets in the cluster; their keys are the names of the files that the processes read.
_INBOX, _ADMINISTRATOR, _WEBHOOK = "promotion-inbox", "promotion-administrator", "promotion-webhook"
_GIT, _NOTIFICATIONS, _DISPATCH = "gitops-token", "notifications", "dispatch-token"


@dataclass(frozen=True)
class Process:
    """One of the image's programs, which runs in a Deployment.

    arguments    arguments of the image's entry point
    secrets      secrets that it reads
    environment  variables in addition to those of all processes
    """

    name: str
    workload: Workload
    arguments: Sequence[str]
    resources: Mapping[str, Any]
    secrets: Sequence[str]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that select its pods."""
        return {**self.workload.pod_labels, "app.kubernetes.io/component": self.name}

    @property
    def pods(self) -> Pods:
        return Pods(_NAMESPACE, self.name, self.labels)


RECEIVER = Process(
    "promotion-receiver",
    _PROMOTION,
    ("lifecycle.promotion", "serve"),
    pod_values.resources("50m", "256Mi", "512Mi"),
    (_INBOX, _WEBHOOK),
)
WEBHOOK_URL = f"http://{RECEIVER.name}.{_NAMESPACE}.svc.cluster.local/webhooks/mlflow"
WORKER = Process(
    "promotion-worker",
    _PROMOTION,
    ("lifecycle.promotion", "work"),
    # Two gates at a time, each with a model and its held-out data in memory.
    pod_values.resources("100m", "512Mi", "3Gi"),
    (_INBOX, _WEBHOOK, _GIT, _NOTIFICATIONS, _DISPATCH),
    {"PROMOTION_WEBHOOK_URL": WEBHOOK_URL, "PROMOTION_GATE_CONCURRENCY": "2"},
)
CONTROLLER = Process(
    "rollout-controller",
    _ROLLOUT,
    ("lifecycle.rollout", "watch"),
    pod_values.resources("50m", "384Mi", "1Gi"),
    (_GIT, _NOTIFICATIONS),
    {"ROLLOUT_PROMETHEUS": _PROMETHEUS},
)

_PROMETHEUS_PODS = Pods(MONITORING, "prometheus", {"app.kubernetes.io/name": "prometheus"})
MODELS = select_workload(get_workload("serving"))


@dataclass(frozen=True)
class LifecycleArgs:
    context: StackContext
    foundation: Foundation


class Lifecycle(Component):
    """The processes with their secrets, budget and monitor; nothing if the image or the repository is not set."""

    layer = "cluster"
    flows = (
        Flow(mlflow.SERVER, RECEIVER.pods, PORT, "delivers webhooks"),
        Flow(CONTROLLER.pods, _PROMETHEUS_PODS, 9090, "queries the metrics of challengers"),
        Flow(CONTROLLER.pods, MODELS, 8000, "requests test predictions"),
        *(
            Flow(process.pods, place, 443, "reads and writes the GitOps repository, and notifies")
            for process in (WORKER, CONTROLLER)
            for place in (Place.INTERNET, Place.PRIVATE_NETWORK)
        ),
    )

    def __init__(self, name: str, args: LifecycleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        missing = find_missing_settings(args.context)
        if missing:
            # Not an error: the first deployment of a stack creates the registry that the image is pushed to.
            self.warn(f"Promotion and rollout are not deployed: {missing}")
            self.register_outputs({})
            return
        generated, secrets = self._create_secrets(args.foundation), self._create_external_secrets()
        database = self._create_database(generated)
        replicas = args.context.settings.resilience.replicas
        self._create_deployment(RECEIVER, replicas, [database])
        create_service(RECEIVER.name, _NAMESPACE, RECEIVER.labels, self.child_options())
        create_disruption_budget(RECEIVER.name, _NAMESPACE, replicas, RECEIVER.labels, self.child_options())
        # One replica each: several would be safe, but no faster.
        for process in (WORKER, CONTROLLER):
            self._create_deployment(process, 1, [database, *secrets])
        self._create_monitor()
        self.register_outputs({"webhook": WEBHOOK_URL})

    def _create_secrets(self, foundation: Foundation) -> Sequence[Secret]:
        """Secrets that the stack generates."""
        webhook = random.RandomPassword(_WEBHOOK, length=48, special=False, opts=self.child_options())
        inbox = {"promotion_inbox": _format_url(foundation.lifecycle_db)}
        administrator = {"promotion_administrator": _format_url(foundation.tracking_db)}
        return [
            self._create_secret(_INBOX, inbox),
            self._create_secret(_ADMINISTRATOR, administrator),
            self._create_secret(_WEBHOOK, {"promotion_webhook_secret": webhook.result}),
        ]

    def _create_secret(self, name: str, content: Mapping[str, pulumi.Input[str]]) -> Secret:
        return Secret(name, metadata=_metadata(name), string_data=content, opts=self.child_options())

    def _create_external_secrets(self) -> Sequence[pulumi.Resource]:
        """Secrets that people store in the stack's store; External Secrets copies them."""
        settings = self._args.context.settings.lifecycle
        references = {_GIT: ({"gitops_token": settings.git_token}, "lifecycle.gitToken")}
        if settings.notifications:
            references[_NOTIFICATIONS] = ({"notify_slack_url": settings.notifications}, "lifecycle.notifications")
        if settings.dispatch_project:
            references[_DISPATCH] = ({"promotion_dispatch_token": settings.dispatch_token}, "lifecycle.dispatchToken")
        store = self._args.foundation.secrets
        return [
            create_external_secret(store, name, _NAMESPACE, keys, setting, self.child_options())
            for name, (keys, setting) in references.items()
        ]

    def _create_database(self, secrets: Sequence[Secret]) -> Job:
        """Create the inbox's database and login as the server's administrator, and again when the image changes."""
        name = "promotion-database"
        arguments, read = ["lifecycle.promotion", "create-database"], (_INBOX, _ADMINISTRATOR)
        process = Process(name, _PROMOTION, arguments, pod_values.resources("50m", "256Mi", "512Mi"), read)
        pod = self._build_pod(process, 1, serves=False)
        return Job(
            name,
            metadata=_metadata(name, process.labels),
            spec={
                "backoffLimit": 6,
                "activeDeadlineSeconds": _DATABASE_DEADLINE,
                "template": {**pod, "spec": {**pod["spec"], "restartPolicy": "OnFailure"}},
            },
            # A Job cannot be changed, and its name is in use as long as it exists.
            opts=self.child_options(depends_on=list(secrets), delete_before_replace=True, replace_on_changes=["spec"]),
        )

    def _create_deployment(self, process: Process, replicas: int, after: Sequence[pulumi.Resource]) -> None:
        strategy = {"type": "Recreate"} if replicas == 1 else {"type": "RollingUpdate"}
        Deployment(
            process.name,
            metadata=_metadata(process.name, process.labels),
            spec={
                "replicas": replicas,
                "strategy": strategy,
                "selector": {"matchLabels": dict(process.labels)},
                "template": self._build_pod(process, replicas),
            },
            opts=self.child_options(depends_on=list(after)),
        )

    def _build_pod(self, process: Process, replicas: int, *, serves: bool = True) -> dict[str, Any]:
        identity = self._args.foundation.identities[process.workload.name]
        container = {
            "name": process.name,
            "image": self._image,
            "args": list(process.arguments),
            "env": [{"name": name, "value": value} for name, value in self._environment(process).items()],
            "resources": process.resources,
            "securityContext": pod_values.RESTRICTED_CONTAINER,
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 the container's
                {"name": "secrets", "mountPath": _SECRETS_PATH, "readOnly": True},
                *process_telemetry.list_mounts(self._args.context.settings),
            ],
        }
        sources = [{"secret": {"name": name}} for name in process.secrets if name in self._secret_names]
        return {
            "metadata": {"labels": {**process.labels, **identity.pod_labels}},
            "spec": {
                "serviceAccountName": process.workload.service_account,
                "automountServiceAccountToken": False,
                "securityContext": pod_values.restrict_pod(IMAGE_USER),
                "terminationGracePeriodSeconds": 60,
                "topologySpreadConstraints": pod_values.zone_spread(replicas, process.labels),
                "containers": [{**container, **(_PROBES if serves else {})}],
                "volumes": [
                    {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},  # clones, and models while they are tested
                    {"name": "secrets", "projected": {"sources": sources, "defaultMode": 0o440}},
                    *process_telemetry.list_volumes(self._args.context.settings),
                ],
            },
        }

    @property
    def _image(self) -> pulumi.Output[str]:
        return self._args.foundation.registry.locate(IMAGE, self._args.context.settings.images.promotion)

    @property
    def _secret_names(self) -> Sequence[str]:
        settings = self._args.context.settings.lifecycle
        optional = {_NOTIFICATIONS: settings.notifications, _DISPATCH: settings.dispatch_project}
        return [_INBOX, _ADMINISTRATOR, _WEBHOOK, _GIT, *(name for name, value in optional.items() if value)]

    def _environment(self, process: Process) -> Mapping[str, pulumi.Input[str]]:
        context = self._args.context
        gitops = context.settings.gitops
        return {
            "HOST": "0.0.0.0",  # noqa: S104 the pod's own address
            "PORT": str(PORT),
            "MLFLOW_TRACKING_URI": mlflow.URL,
            **self._args.foundation.artifacts.environment,
            "GITOPS_REPOSITORY": gitops.repository,
            "GITOPS_BRANCH": gitops.revision,
            "GITOPS_STACK": context.naming.stack,
            "GITOPS_DOMAIN": context.naming.domain,
            "GITOPS_PATH": find_path(gitops, context.naming.stack),
            "GITOPS_GATEWAY": GATEWAY,
            "GITOPS_GATEWAY_NAMESPACE": GATEWAY_NAMESPACE,
            "GITOPS_SECRETS_DIR": _SECRETS_PATH,
            **_describe_forge(context.settings),
            "PROMOTION_SECRETS_DIR": _SECRETS_PATH,
            **process_telemetry.describe_environment(context),
            **(_describe_dispatch(context.settings) if _DISPATCH in process.secrets else {}),
            **process.environment,
        }

    def _create_monitor(self) -> None:
        """A monitor of pods, because only the receiver has a Service."""
        names = [process.name for process in (RECEIVER, WORKER, CONTROLLER)]
        component = {"key": "app.kubernetes.io/component", "operator": "In", "values": names}
        CustomResource(
            "lifecycle-monitor",
            api_version="monitoring.coreos.com/v1",
            kind="PodMonitor",
            metadata=_metadata("lifecycle"),
            spec={
                "selector": {"matchExpressions": [component]},
                "podMetricsEndpoints": [{"port": "http", "path": "/metrics"}],
            },
            opts=self.child_options(),
        )


def _describe_forge(settings: Settings) -> Mapping[str, str]:
    """Where pull requests are opened; empty if changes are pushed."""
    if not settings.lifecycle.pull_requests:
        return {}
    return {
        "GITOPS_MODE": "pull-request",
        "GITOPS_FORGE_URL": settings.lifecycle.forge_url,
        "GITOPS_PROJECT": find_project(settings.gitops.repository),
    }


def _describe_dispatch(settings: Settings) -> Mapping[str, str]:
    """Which workflow promotes models; empty if the worker does."""
    if not settings.lifecycle.dispatch_project:
        return {}
    return {
        "PROMOTION_DISPATCH_PROJECT": settings.lifecycle.dispatch_project,
        "PROMOTION_DISPATCH_URL": settings.lifecycle.forge_url,
    }


def find_missing_settings(context: StackContext) -> str:
    """Why the services cannot run with these settings, and the remedy; empty if they can."""
    settings = context.settings
    if not settings.images.promotion:
        return (
            "images.promotion is not set. Build platform/lifecycle/images/promotion, push it to the stack's registry, "
            "and set images.promotion to its digest."
        )
    if not settings.gitops.repository:
        return "gitops.repository is not set, so there is nothing to commit to. Set it to the repository's URL."
    return ""


_PROBES = {
    "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
    **pod_values.probe("http"),
}


def _metadata(name: str, labels: Mapping[str, str] | None = None) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name, namespace=_NAMESPACE, labels=labels)


def _format_url(database: DatabaseContract) -> pulumi.Output[str]:
    """The URL of a database, a secret. The server requires TLS, and its certificate is issued by its cloud."""

    def format_(host: str, password: str) -> str:
        user = quote(database.username, safe="")
        return (
            f"postgresql://{user}:{quote(password, safe='')}@{host}:{database.port}/{database.database}?sslmode=require"
        )

    return pulumi.Output.secret(
        pulumi.Output.all(database.host, database.password).apply(lambda parts: format_(str(parts[0]), str(parts[1])))
    )
