"""The real Prometheus, with the scrape configuration that its real operator wrote for the models' ServiceMonitor.

`python -m rehearsal.scenarios.prometheus` prints the path of its program, which is built first if needed. It prints
nothing if the program is not available.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from rehearsal import toolchain
from rehearsal.console import UserError, info
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane
from rehearsal.scenarios.network_proxy import METRICS_HOST
from rehearsal.scenarios.processes import LifecycleProcesses
from rehearsal.toolchain import GO_MODULES, Tool

PROMETHEUS = Tool(
    name="prometheus",
    title="Prometheus",
    command="prometheus",
    version_arguments=("--version",),
    folder=GO_MODULES / "prometheus",
    module="github.com/prometheus/prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    version_variables={"github.com/prometheus/common/version.Version": "github.com/prometheus/prometheus"},
    build_minutes=2,
    install_url="https://prometheus.io/docs/prometheus/latest/installation/",
    minimum_version="3.0.0",
    # The operator uses one of some thirty kinds of service discovery; without the others the build takes half the time.
    tags=("remove_all_sd", "enable_kubernetes_sd"),
)
# The checker of rules, Alertmanager, and the checker of its configuration. Only tests run these.
PROMTOOL = replace(
    PROMETHEUS,
    name="promtool",
    title="promtool",
    command="promtool",
    package="github.com/prometheus/prometheus/cmd/promtool",
    build_minutes=1,
)
ALERTMANAGER = replace(
    PROMETHEUS,
    name="alertmanager",
    title="Alertmanager",
    command="alertmanager",
    module="github.com/prometheus/alertmanager",
    package="github.com/prometheus/alertmanager/cmd/alertmanager",
    version_variables={"github.com/prometheus/common/version.Version": "github.com/prometheus/alertmanager"},
    build_minutes=1,
    install_url="https://prometheus.io/download/#alertmanager",
    minimum_version="",
    tags=(),
)
AMTOOL = replace(
    ALERTMANAGER,
    name="amtool",
    title="amtool",
    command="amtool",
    package="github.com/prometheus/alertmanager/cmd/amtool",
)

# With the ServiceMonitor's own fifteen seconds, a step of a rollout would take minutes.
_INTERVALS = {"scrape_interval": "1s", "scrape_timeout": "1s"}
_MODELS_JOB = "serviceMonitor/serving/models/"  # prefix of the jobs that the operator generates


def start_prometheus(processes: LifecycleProcesses, program: Path, port: int, proxy: str) -> None:
    """Start Prometheus and wait until it is ready."""
    folder = processes.folder / "prometheus"
    folder.mkdir(parents=True)
    config_file = folder / "prometheus.yml"
    jobs = [
        {**connect_job(job, processes.plane.kubeconfig, proxy), **_INTERVALS}
        for job in find_scrape_configs(processes.plane)
    ]
    kubelet_job = {
        "job_name": "kubelet stub",
        "static_configs": [{"targets": [METRICS_HOST]}],
        "honor_labels": True,
        "proxy_url": proxy,
        **_INTERVALS,
    }
    config_file.write_text(yaml.safe_dump({"scrape_configs": [*jobs, kubelet_job]}))
    command: list[str | Path] = [program, f"--config.file={config_file}", f"--storage.tsdb.path={folder / 'data'}"]
    processes.start("prometheus", [*command, f"--web.listen-address={HOST}:{port}"])
    processes.wait_until_ready("prometheus", f"http://{HOST}:{port}/-/ready")


def find_scrape_configs(plane: ControlPlane) -> Sequence[Mapping[str, Any]]:
    """The models' scrape configurations that the operator wrote for Prometheus; empty until it has written them."""
    found: list[Mapping[str, Any]] = []
    for secret in plane.api.list("v1", "Secret", "monitoring"):
        packed = (secret.get("data") or {}).get("prometheus.yaml.gz")
        if packed:
            text = gzip.decompress(base64.b64decode(packed)).decode()
            config = yaml.safe_load(text.replace("$(SHARD)", "0"))  # the pod's config reloader fills it in
            jobs = config.get("scrape_configs") or ()
            found += [job for job in jobs if job["job_name"].startswith(_MODELS_JOB)]
    return found


def connect_job(job: Mapping[str, Any], kubeconfig: Path, proxy: str) -> Mapping[str, Any]:
    """The operator's scrape job, adapted for a Prometheus outside of the cluster: with a kubeconfig and the proxy."""
    discovery = [{**config, "kubeconfig_file": str(kubeconfig)} for config in job["kubernetes_sd_configs"]]
    return {**job, "kubernetes_sd_configs": discovery, "proxy_url": proxy}


if __name__ == "__main__":
    try:
        print(toolchain.ensure(PROMETHEUS))
    except UserError as error:
        info(str(error))
