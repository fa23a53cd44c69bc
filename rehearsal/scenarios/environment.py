"""The environment of a scenario: the cluster, its stubs, and the processes of the model lifecycle."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.console import UserError
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.kubernetes.client import ApiClient
from rehearsal.kubernetes.cluster import Cluster
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports
from rehearsal.scenarios import prometheus
from rehearsal.scenarios.kubelet_stub import ImageProgram, KubeletStub
from rehearsal.scenarios.network_proxy import NetworkProxy
from rehearsal.scenarios.notification_stub import NotificationStub
from rehearsal.scenarios.processes import LifecycleProcesses, build_environment, python, start_mlflow
from rehearsal.scenarios.waiting import wait_for_step

# Services of the stack whose pods are simulated: processes on this machine replace them.
_MLFLOW = "mlflow.mlflow"
_PROMETHEUS = "kube-prometheus-stack-prometheus.monitoring"


@dataclass(frozen=True)
class ScenarioEnvironment:
    """What the steps of a scenario work with.

    proxy_url      of the cluster's network
    mlflow_url     of the tracking server and registry
    receiver_port  on which the promotion's receiver is to listen
    """

    plane: ControlPlane
    repository: GitOpsRepository
    processes: LifecycleProcesses
    proxy_url: str
    mlflow_url: str
    notifications: NotificationStub
    receiver_port: int
    _prometheus_port: int

    def start_prometheus(self, program: Path) -> None:
        """Start Prometheus, once its operator has written scrape configurations for the models."""
        wait_for_step(
            lambda: prometheus.find_scrape_configs(self.plane),
            "The Prometheus operator has not processed the ServiceMonitor `models`",
        )
        prometheus.start_prometheus(self.processes, program, self._prometheus_port, self.proxy_url)


@contextmanager
def run_environment(
    cluster: Cluster, repository: GitOpsRepository, stack: str, folder: Path
) -> Iterator[ScenarioEnvironment]:
    """Run the environment while the context lasts. `folder` must not exist yet."""
    folder.mkdir(parents=True)
    mlflow_port, prometheus_port, receiver_port = free_ports(3)
    notifications = NotificationStub()
    serving = {"WORKERS": "1", "DRAIN_DELAY": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    programs = {"serving": ImageProgram([str(python()), "-m", "lifecycle.serving"], serving)}
    kubelet = KubeletStub(cluster.plane, programs)
    network = NetworkProxy(cluster.plane.api, kubelet, {_MLFLOW: mlflow_port, _PROMETHEUS: prometheus_port})
    with notifications.run() as notification_url, network.run() as proxy_url:
        variables = {
            **build_environment(proxy_url, f"http://{HOST}:{mlflow_port}", repository.folder, folder),
            "GITOPS_STACK": stack,
            "GITOPS_DOMAIN": _find_domain(cluster.plane.api),
            "NOTIFY_SLACK_URL": notification_url,
            "PROMOTION_WEBHOOK_SECRET": secrets.token_urlsafe(32),
            "ROLLOUT_PROMETHEUS": f"http://{_PROMETHEUS}.svc.cluster.local:9090",
        }
        serving |= {"PYTHONPATH": variables["PYTHONPATH"], "http_proxy": proxy_url}
        processes = LifecycleProcesses(cluster.plane, folder, variables)
        with kubelet.run():
            yield ScenarioEnvironment(
                plane=cluster.plane,
                repository=repository,
                processes=processes,
                proxy_url=proxy_url,
                mlflow_url=start_mlflow(processes, mlflow_port),
                notifications=notifications,
                receiver_port=receiver_port,
                _prometheus_port=prometheus_port,
            )


def _find_domain(api: ApiClient) -> str:
    """The domain of the stack's Gateway. Raises UserError where no Gateway has a listener for one."""
    for gateway in api.list("gateway.networking.k8s.io/v1", "Gateway"):
        for listener in gateway["spec"]["listeners"]:
            if listener.get("hostname", "").startswith("*."):
                return str(listener["hostname"].removeprefix("*."))
    raise UserError("No Gateway of the stack has a listener for the names of a domain, such as *.ml.example.com.")
