"""All that plays a part in a rehearsal of the model's life, running: the cluster, its stand-ins, and the processes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.kubernetes.cluster import Cluster
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports
from rehearsal.scenarios import installation, processes, prometheus
from rehearsal.scenarios.gitops_repository import GitOpsRepository
from rehearsal.scenarios.kubelet_stub import KubeletStub
from rehearsal.scenarios.network_proxy import NetworkProxy
from rehearsal.scenarios.notification_stub import NotificationStub
from rehearsal.scenarios.processes import PYTHON, Processes

# What these services are in the stack. Their pods are simulated; processes on this machine do their work.
_MLFLOW = "mlflow.mlflow"
_PROMETHEUS = "kube-prometheus-stack-prometheus.monitoring"


@dataclass(frozen=True)
class ScenarioEnvironment:
    """What the acts work with.

    proxy          the cluster's network, as an HTTP proxy
    mlflow         the address of the registry
    receiver_port  where the promotion's receiver is to answer
    """

    environment: str
    plane: ControlPlane
    repository: GitOpsRepository
    processes: Processes
    proxy: str
    mlflow: str
    notifications: NotificationStub
    receiver_port: int
    _prometheus_port: int

    def watch(self, program: Path) -> None:
        """Start Prometheus, once its operator has told it of the models."""
        plane = self.plane
        installation.until(
            lambda: prometheus.knows_models(plane), "Prometheus' operator has not taken up the ServiceMonitor `models`"
        )
        prometheus.start(self.processes, program, self._prometheus_port, self.proxy)


@contextmanager
def start_environment(cluster: Cluster, environment: str, folder: Path) -> Iterator[ScenarioEnvironment]:
    """The stage, for as long as the context lasts; `folder` is new."""
    folder.mkdir(parents=True)
    repository = GitOpsRepository.make(folder / "models.git", environment)
    mlflow_port, prometheus_port, receiver_port = free_ports(3)
    notifications = NotificationStub()
    serving = {"WORKERS": "1", "DRAIN_DELAY": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    kubelet = KubeletStub(cluster.plane, [str(PYTHON), "-m", "lifecycle.serving"], serving)
    network = NetworkProxy(cluster.plane.api, kubelet, {_MLFLOW: mlflow_port, _PROMETHEUS: prometheus_port})
    with notifications.run() as notify, network.run() as proxy:
        told = {
            **processes.environment(proxy, f"http://{HOST}:{mlflow_port}", repository.folder, folder),
            "GITOPS_ENVIRONMENT": environment,
            "NOTIFY_SLACK_URL": notify,
            "PROMOTION_WEBHOOK_SECRET": secrets.token_urlsafe(32),
            "ROLLOUT_PROMETHEUS": f"http://{_PROMETHEUS}.svc.cluster.local:9090",
        }
        serving |= {"PYTHONPATH": told["PYTHONPATH"], "http_proxy": proxy}
        running = Processes(cluster.plane, folder, told)
        with kubelet.run():
            mlflow = processes.start_mlflow(running, mlflow_port)
            ports = receiver_port, prometheus_port
            yield ScenarioEnvironment(
                environment, cluster.plane, repository, running, proxy, mlflow, notifications, *ports
            )
