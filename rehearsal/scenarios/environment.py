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
from rehearsal.scenarios.kubelet_stub import ImageProgram, KubeletStub
from rehearsal.scenarios.mlflow_exporter import run_exporter
from rehearsal.scenarios.network_proxy import NetworkProxy
from rehearsal.scenarios.notification_stub import NotificationStub
from rehearsal.scenarios.processes import LifecycleProcesses, build_environment, package, python, start_mlflow
from rehearsal.scenarios.waiting import wait_for_step

# Services of the stack whose pods are simulated: processes on this machine replace them.
_MLFLOW = "mlflow.mlflow"
_ARGO_CD = "argo-cd-argocd-application-controller-metrics.argocd"
_PROMETHEUS = "kube-prometheus-stack-prometheus.monitoring"
# The receiver of MLflow's webhooks. MLflow uses no proxies, so it calls the network's as a server.
_RECEIVER = "promotion-receiver.lifecycle.svc.cluster.local/webhooks/mlflow"

# A rollout in minutes instead of hours. Its guardrails and tests are those of production, but for the limit of response
# times: a prediction takes some tenths of a second here, and several on a machine that does much else. The slow
# challenger takes longer than the limit on any.
_ROLLOUT_SETTINGS = {
    "ROLLOUT_INTERVAL": "8",
    "ROLLOUT_POLL_INTERVAL": "1",
    "ROLLOUT_METRICS_BLOCK": "4",  # seconds, as Prometheus scrapes every second here
    "ROLLOUT_MIN_REQUESTS": "20",
    "ROLLOUT_MAX_P95": "5",
}


@dataclass(frozen=True)
class ScenarioEnvironment:
    """What the steps of a scenario work with.

    proxy_url   of the cluster's network
    mlflow_url  of the tracking server and registry
    inbox       the file of the promotion's inbox
    prometheus_port  on which the network expects Prometheus
    """

    plane: ControlPlane
    repository: GitOpsRepository
    processes: LifecycleProcesses
    proxy_url: str
    mlflow_url: str
    notifications: NotificationStub
    inbox: Path
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
    cluster: Cluster, repository: GitOpsRepository, folder: Path, rollout: Mapping[str, str] = _ROLLOUT_SETTINGS
) -> Iterator[ScenarioEnvironment]:
    """Run the environment while the context lasts.

    folder   must not exist yet
    rollout  settings of the rollout's controller, beside those of the stack
    """
    folder.mkdir(parents=True)
    mlflow_port, prometheus_port = free_ports(2)
    notifications, inbox = NotificationStub(), folder / "inbox.db"
    programs: dict[str, ImageProgram] = {}  # filled in below: their environment has the proxy's address
    kubelet = KubeletStub(cluster.plane, programs)
    services = {_MLFLOW: mlflow_port, _PROMETHEUS: prometheus_port}
    argo_cd_port = cluster.locate_controller(APPLICATION_CONTROLLER.name, argocd_application.NAMESPACE)
    with ExitStack() as stack:
        notification_url = stack.enter_context(notifications.run())
        exporter_port = stack.enter_context(run_exporter(f"http://{HOST}:{mlflow_port}/health"))
        exporters = {_MLFLOW: exporter_port, _ARGO_CD: argo_cd_port}
        proxy_url = stack.enter_context(NetworkProxy(cluster.plane.api, kubelet, services, exporters).run())
        # The pods of the collector of traces are simulated.
        own = {"PYTHONPATH": str(package() / "src"), "OTEL_SDK_DISABLED": "true"}
        common = {**own, "http_proxy": proxy_url, "no_proxy": HOST}
        programs["serving"] = ImageProgram(
            [str(python()), "-m", "lifecycle.serving"],
            {**common, "WORKERS": "1", "DRAIN_DELAY": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
        programs["promotion"] = ImageProgram(
            [str(python()), "-m"],
            {
                **common,
                **_git_settings(cluster),
                **rollout,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "NOTIFY_SLACK_URL": notification_url,
                # In place of the PostgreSQL database, which is simulated.
                "PROMOTION_INBOX": f"sqlite:///{inbox}",
                "PROMOTION_WEBHOOK_URL": f"{proxy_url}/{_RECEIVER}",
                # In place of kubernetes.default.svc, whose address no process outside of a pod can reach.
                "RETRAINING_API_SERVER": cluster.plane.api.config.server,
            },
        )
        programs["drift"] = ImageProgram(
            [str(python()), "-m", "lifecycle.drift"],
            # In place of the cloud's object store, which is simulated.
            {**common, "DRIFT_STORE": str(folder / "inferences"), "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
        variables = build_environment(proxy_url, f"http://{HOST}:{mlflow_port}", folder)
        processes = LifecycleProcesses(cluster.plane, folder, variables)
        stack.enter_context(kubelet.run())
        yield ScenarioEnvironment(
            plane=cluster.plane,
            repository=repository,
            processes=processes,
            proxy_url=proxy_url,
            mlflow_url=start_mlflow(processes, mlflow_port),
            notifications=notifications,
            inbox=inbox,
            prometheus_port=prometheus_port,
        )


def _git_settings(cluster: Cluster) -> Mapping[str, str]:
    """What makes git reach the repository under its own URL, as Argo CD does."""
    authority = cluster.plane.certificate_authority.ca_file
    return {"https_proxy": cluster.git_server.proxy_url, "GIT_SSL_CAINFO": str(authority)}
