"""The environment of a scenario: the cluster, its stubs, and the processes of the model lifecycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.kubernetes.cluster import Cluster
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports
from rehearsal.kubernetes.controllers.argocd import APPLICATION_CONTROLLER
from rehearsal.scenarios import argocd_application, prometheus
from rehearsal.scenarios.container_process import ImageProgram
from rehearsal.scenarios.kubelet_stub import KubeletStub
from rehearsal.scenarios.mlflow_exporter import run_exporter
from rehearsal.scenarios.network_proxy import NetworkProxy
from rehearsal.scenarios.notification_stub import NotificationStub
from rehearsal.scenarios.processes import LifecycleProcesses, build_environment, package, python, start_mlflow
from rehearsal.scenarios.waiting import wait_for_step

# Services of the stack whose pods are simulated: processes on this machine replace them.
_MLFLOW = "mlflow.mlflow"
_ARGO_CD = "argo-cd-argocd-application-controller-metrics.argocd"
_PROMETHEUS = "kube-prometheus-stack-prometheus.monitoring"
# The receiver of MLflow's webhooks. MLflow uses no proxies, so it calls the network's proxy as a server.
_RECEIVER = "promotion-receiver.lifecycle.svc.cluster.local/webhooks/mlflow"

# A rollout in minutes instead of hours. Its guardrails and tests are those of production, except for the limit on
# response times: a prediction takes some tenths of a second here, and several seconds on a busy machine. The slow
# challenger exceeds the limit on any machine.
_ROLLOUT_SETTINGS = {
    "ROLLOUT_INTERVAL": "8",
    "ROLLOUT_POLL_INTERVAL": "2",
    "ROLLOUT_METRICS_BLOCK": "4",  # seconds, as Prometheus scrapes every second here
    "ROLLOUT_MIN_REQUESTS": "20",
    "ROLLOUT_MAX_P95": "5",
}
# A drift check within minutes of the users' requests. The criteria for drift are those of production.
WINDOW = 180.0  # seconds
_DRIFT_SETTINGS = {"DRIFT_WINDOW_HOURS": str(WINDOW / 3600), "DRIFT_COLLECT_INTERVAL": "5"}
_TRAINING_SETTINGS = {"TRAINING_TRIALS": "2"}  # for each family: the search is the largest part of a small run


@dataclass(frozen=True)
class ScenarioEnvironment:
    """What the steps of a scenario work with.

    stack       its name
    proxy_url   of the cluster's network
    mlflow_url  of the tracking server and registry
    inbox       the file of the promotion's inbox
    inferences  the folder that replaces the artifact store's inference log
    data        the folder that replaces the artifact store's `data`
    prometheus_port  on which the network expects Prometheus
    """

    stack: str
    plane: ControlPlane
    repository: GitOpsRepository
    processes: LifecycleProcesses
    proxy_url: str
    mlflow_url: str
    notifications: NotificationStub
    inbox: Path
    inferences: Path
    data: Path
    prometheus_port: int

    def start_prometheus(self, program: Path) -> None:
        """Start Prometheus, once its operator has written scrape configurations for the models."""
        wait_for_step(
            lambda: prometheus.find_scrape_configs(self.plane),
            "The Prometheus operator has not processed the ServiceMonitor `models`",
        )
        prometheus.start_prometheus(self.processes, program, self.prometheus_port, self.proxy_url)


@contextmanager
def run_environment(
    stack: str,
    cluster: Cluster,
    repository: GitOpsRepository,
    folder: Path,
    rollout: Mapping[str, str] = _ROLLOUT_SETTINGS,
) -> Iterator[ScenarioEnvironment]:
    """Run the environment while the context lasts.

    folder   must not exist yet
    rollout  settings of the rollout's controller, in addition to those of the stack
    """
    folder.mkdir(parents=True)
    mlflow_port, prometheus_port = free_ports(2)
    notifications, inbox, inferences = NotificationStub(), folder / "inbox.db", folder / "inferences"
    programs: dict[str, ImageProgram] = {}  # filled in below: their environment has the proxy's address
    kubelet = KubeletStub(cluster.plane, programs)
    services = {_MLFLOW: mlflow_port, _PROMETHEUS: prometheus_port}
    argo_cd_port = cluster.locate_controller(APPLICATION_CONTROLLER.name, argocd_application.NAMESPACE)
    with ExitStack() as started:
        notification_url = started.enter_context(notifications.run())
        exporter_port = started.enter_context(run_exporter(f"http://{HOST}:{mlflow_port}/health"))
        exporters = {_MLFLOW: exporter_port, _ARGO_CD: argo_cd_port}
        proxy_url = started.enter_context(NetworkProxy(cluster.plane.api, kubelet, services, exporters).run())
        variables = build_environment(proxy_url, f"http://{HOST}:{mlflow_port}", folder)
        programs |= _describe_programs(cluster, proxy_url, notification_url, folder, inbox, inferences, rollout)
        processes = LifecycleProcesses(cluster.plane, folder, {**variables, **_TRAINING_SETTINGS})
        started.enter_context(kubelet.run())
        yield ScenarioEnvironment(
            stack=stack,
            plane=cluster.plane,
            repository=repository,
            processes=processes,
            proxy_url=proxy_url,
            mlflow_url=start_mlflow(processes, mlflow_port),
            notifications=notifications,
            inbox=inbox,
            inferences=inferences,
            data=Path(variables["TRAINING_DATA_REMOTE"]),
            prometheus_port=prometheus_port,
        )


def _describe_programs(
    cluster: Cluster,
    proxy_url: str,
    notification_url: str,
    folder: Path,
    inbox: Path,
    inferences: Path,
    rollout: Mapping[str, str],
) -> Mapping[str, ImageProgram]:
    """The programs that replace the platform's images; simulated stores are files in `folder`."""
    common = {
        "PYTHONPATH": str(package() / "src"),
        "http_proxy": proxy_url,
        "no_proxy": HOST,
        # The pods of the collector of traces are simulated.
        "OTEL_SDK_DISABLED": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    environments: Mapping[str, Mapping[str, str]] = {
        "serving": {"WORKERS": "1", "DRAIN_DELAY": "1"},
        "promotion": {
            **_git_settings(cluster),
            **rollout,
            "NOTIFY_SLACK_URL": notification_url,
            # In place of the PostgreSQL database, which is simulated.
            "PROMOTION_INBOX": f"sqlite:///{inbox}",
            "PROMOTION_WEBHOOK_URL": f"{proxy_url}/{_RECEIVER}",
            # In place of kubernetes.default.svc, whose address processes outside of pods cannot reach.
            "RETRAINING_API_SERVER": cluster.plane.api.config.server,
        },
        "experiment": {
            # In place of Cosmos DB or DynamoDB, which are simulated.
            "EXPERIMENT_STORE": f"sqlite:///{folder / 'experiments.db'}",
            # The router uses no proxies, so it calls the network's proxy as a server.
            "EXPERIMENT_SERVICE_URL": f"{proxy_url}/{{service}}.serving.svc.cluster.local",
            "NOTIFY_SLACK_URL": notification_url,
        },
        # In place of the cloud's object store, which is simulated.
        "drift": {**_DRIFT_SETTINGS, "DRIFT_STORE": str(inferences)},
        "training": {**_TRAINING_SETTINGS, "TRAINING_DATA_REMOTE": str(folder / "data")},
    }
    entry_points = {name: [str(python()), "-m", f"lifecycle.{name}"] for name in environments}
    entry_points["promotion"] = [str(python()), "-m"]
    return {name: ImageProgram(entry_points[name], {**common, **own}) for name, own in environments.items()}


def _git_settings(cluster: Cluster) -> Mapping[str, str]:
    """The settings with which git reaches the repository under its own URL, as Argo CD does."""
    authority = cluster.plane.certificate_authority.ca_file
    return {"https_proxy": cluster.git_server.proxy_url, "GIT_SSL_CAINFO": str(authority)}
