"""Prometheus and Alertmanager of a rehearsed stack as real processes, configured by the real operator.

Prometheus has all rules of the cluster, and scrapes every target with a real process, at the stack's own intervals and
through the cluster's network. `alert_delivery` lists what differs from the stack.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import yaml

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane, free_ports
from rehearsal.scenarios.alert_delivery import (
    build_alertmanager_command,
    build_prometheus_command,
    write_alertmanager_config,
    write_rules,
)
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.prometheus import connect_job
from rehearsal.scenarios.waiting import wait_for_step

_NAMESPACE = "monitoring"
# The monitors whose targets all have processes; the pods of all others are simulated, and expose no metrics.
_SCRAPED = re.compile(
    r"serviceMonitor/(serving/models|lifecycle/|mlflow/|argocd/argo-cd-argocd-application-controller)|podMonitor/lifecycle/"
)
_TIMEOUT = 10  # seconds


class Monitoring:
    """Queries of the running Prometheus."""

    def __init__(self, address: str) -> None:
        self._address = address

    def list_targets(self) -> Mapping[str, str]:
        """The health of each target, `up` or `down`, keyed by job and address."""
        targets = self._get("/api/v1/targets")["activeTargets"]
        return {f"{each['labels']['job']} {each['labels']['instance']}": each["health"] for each in targets}

    def list_rules(self) -> Sequence[str]:
        """The names of all rules that are loaded."""
        return [rule["name"] for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]

    def is_silent(self, alert: str) -> bool:
        """Whether the alert is neither firing nor pending."""
        return all(each["labels"]["alertname"] != alert for each in self._get("/api/v1/alerts")["alerts"])

    def _get(self, path: str) -> Any:
        return requests.get(f"{self._address}{path}", timeout=_TIMEOUT).json()["data"]


def start_monitoring(environment: ScenarioEnvironment, programs: Sequence[Path], receiver: str) -> Monitoring:
    """Start both, and wait until they are ready.

    programs  Prometheus and Alertmanager
    receiver  the address that replaces those in the receivers' secrets
    """
    plane, processes = environment.plane, environment.processes
    folder = processes.folder / "monitoring"
    folder.mkdir()
    (port,) = free_ports(1)
    wait_for_step(lambda: _find_configs(plane), "The Prometheus operator has not written its configurations")
    config, alertmanager = _find_configs(plane)
    command = build_alertmanager_command(programs[1], write_alertmanager_config(alertmanager, folder, receiver), port)
    processes.start("alertmanager", command)
    processes.wait_until_ready("alertmanager", f"http://{HOST}:{port}/-/ready")
    rules = folder / "rules.yml"
    write_rules(_list_groups(plane), rules)
    jobs = [job for job in config["scrape_configs"] if _SCRAPED.match(job["job_name"])]
    alerting = {**config["alerting"], "alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{port}"]}]}]}
    adapted = {
        "global": config["global"],
        "rule_files": [str(rules)],
        "scrape_configs": [connect_job(job, plane.kubeconfig, environment.proxy_url) for job in jobs],
        "alerting": alerting,
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(adapted))
    address = f"http://{HOST}:{environment.prometheus_port}"
    processes.start("prometheus", build_prometheus_command(programs[0], file, environment.prometheus_port))
    processes.wait_until_ready("prometheus", f"{address}/-/ready")
    return Monitoring(address)


def _find_configs(plane: ControlPlane) -> Sequence[Mapping[str, Any]]:
    """The configurations of Prometheus and Alertmanager, as the operator wrote them; empty until both exist."""
    found = [
        yaml.safe_load(gzip.decompress(base64.b64decode(packed)).decode().replace("$(SHARD)", "0"))
        for key in ("prometheus.yaml.gz", "alertmanager.yaml.gz")
        for secret in plane.api.list("v1", "Secret", _NAMESPACE)
        if (packed := (secret.get("data") or {}).get(key))
    ]
    return found if len(found) == 2 else ()


def _list_groups(plane: ControlPlane) -> Sequence[Mapping[str, Any]]:
    """The groups of all rules, as the operator wrote them for Prometheus, with unique names."""
    files: dict[str, str] = {}
    for config_map in plane.api.list("v1", "ConfigMap", _NAMESPACE):
        if _is_rule_file(config_map):
            files |= config_map["data"]
    return [
        {**group, "name": f"{name} {group['name']}"}
        for name, text in files.items()
        for group in yaml.safe_load(text)["groups"]
    ]


def _is_rule_file(config_map: Object) -> bool:
    return "rulefiles" in config_map["metadata"]["name"]
