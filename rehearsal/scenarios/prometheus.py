"""The real Prometheus, with what its real operator made of the models' ServiceMonitor.

`python -m rehearsal.scenarios.prometheus` prints its program, built first where there is none; nothing where it cannot
be had.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rehearsal import toolchain
from rehearsal.console import UserError, info
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane
from rehearsal.scenarios.network_proxy import METRICS
from rehearsal.scenarios.processes import Processes
from rehearsal.toolchain import GO_MODULES, Tool

PROMETHEUS = Tool(
    name="prometheus",
    title="Prometheus",
    command="prometheus",
    version_arguments=("--version",),
    folder=GO_MODULES / "prometheus",
    module="github.com/prometheus/prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    version_variable="github.com/prometheus/common/version.Version",
    build_time="two minutes",
    install_url="https://prometheus.io/docs/prometheus/latest/installation/",
    minimum_version="3.0.0",
    # Of some thirty ways to discover targets the operator uses one; without the others the build takes half the time.
    tags=("remove_all_sd", "enable_kubernetes_sd"),
)

_SCRAPES = 1  # seconds between two; a monitor's own fifteen would make a step last minutes


def start(processes: Processes, program: Path, port: int, proxy: str) -> None:
    """Prometheus with what its operator made of the models' ServiceMonitor."""
    folder = processes.folder / "prometheus"
    folder.mkdir(parents=True)
    config = folder / "prometheus.yml"
    scrapes = [_reached(each, processes.plane.kubeconfig, proxy) for each in _scrapes(processes.plane)]
    kubelet = {"job_name": "kubelets' stand-in", "static_configs": [{"targets": [METRICS]}], **_hurried(proxy)}
    config.write_text(yaml.safe_dump({"scrape_configs": [*scrapes, {**kubelet, "honor_labels": True}]}))
    command: list[str | Path] = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    processes.start("prometheus", [*command, f"--web.listen-address={HOST}:{port}"])
    processes.answers("prometheus", f"http://{HOST}:{port}/-/ready")


def knows_models(plane: ControlPlane) -> bool:
    """Whether the operator has told Prometheus of the models."""
    return bool(_scrapes(plane))


def _scrapes(plane: ControlPlane) -> Sequence[Mapping[str, Any]]:
    """The models' part of what the operator wrote for Prometheus."""
    found: list[Mapping[str, Any]] = []
    for secret in plane.api.list("v1", "Secret", "monitoring"):
        packed = (secret.get("data") or {}).get("prometheus.yaml.gz")
        if packed:
            text = gzip.decompress(base64.b64decode(packed)).decode()
            config = yaml.safe_load(text.replace("$(SHARD)", "0"))  # which the pod's config reloader fills in
            jobs = config.get("scrape_configs") or ()
            found += [job for job in jobs if job["job_name"].startswith("serviceMonitor/serving/models/")]
    return found


def _reached(job: Mapping[str, Any], kubeconfig: Path, proxy: str) -> Mapping[str, Any]:
    """A job of the operator's, asked from outside of the cluster: through its API and the network's stand-in."""
    discovered = [{**each, "kubeconfig_file": str(kubeconfig)} for each in job["kubernetes_sd_configs"]]
    return {**job, "kubernetes_sd_configs": discovered, **_hurried(proxy)}


def _hurried(proxy: str) -> Mapping[str, str]:
    interval = f"{_SCRAPES}s"
    return {"proxy_url": proxy, "scrape_interval": interval, "scrape_timeout": interval}


if __name__ == "__main__":
    try:
        print(toolchain.ensure(PROMETHEUS))
    except UserError as error:
        info(str(error))
