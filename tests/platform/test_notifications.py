"""From a fault to a notification, with real programs: Prometheus with all rules, Alertmanager as a stack configures it.

Proves that an alert for a process that has ended reaches the receivers of its severity, with the information that a
person needs to begin, within two minutes after the rule's `for`, and that the heartbeat arrives. The receivers are
stubs, and no rule's `for` is longer than 10 seconds; tests/soak evaluates the rules on a whole stack. Does not prove
how Slack and PagerDuty handle the notifications.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from infra.cluster.alert_receivers import build_configuration, list_unsent
from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports
from rehearsal.kubernetes.http_server import SilentHandler, serve_in_thread
from rehearsal.scenarios.alert_delivery import (
    build_alertmanager_command,
    build_prometheus_command,
    write_alertmanager_config,
    write_rules,
)
from rehearsal.scenarios.alert_receiver import AlertReceiver
from rehearsal.scenarios.prometheus import ALERTMANAGER, PROMETHEUS
from tests.support.alert_rules import RULE_FILES, require
from tests.support.recording import stack_context
from tests.support.waiting import eventually

pytestmark = pytest.mark.process

_EVALUATION = 1  # seconds; the stack's 30 would be added to each step
_FOR = 10  # seconds that alerts have to hold; Alertmanager then waits 30, as the stack configures it
_ALERTING = {"slack": "alerts-slack", "heartbeat": "alerts-heartbeat", "runbooks": "https://git.acme.org/runbooks"}


class _Exporter(SilentHandler):
    protocol_version = "HTTP/1.0"  # a persistent connection would be answered even after the server's end

    def do_GET(self) -> None:  # noqa: N802 the library's name
        self.respond(200, b"", [("Content-Type", "text/plain; version=0.0.4")])


@contextmanager
def run(command: list[str], log: Path) -> Iterator[None]:
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()


def configure_prometheus(folder: Path, target: int, alertmanager: int, settings: Any) -> Path:
    rules = folder / "rules.yml"
    write_rules([group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]], rules, _FOR)
    mlflow = {"targets": [f"{HOST}:{target}"], "labels": {"namespace": "mlflow"}}
    config = {
        "global": {
            "evaluation_interval": f"{_EVALUATION}s",
            "scrape_interval": "1s",
            "external_labels": {"stack": "azure-prod", "environment": "prod"},
        },
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "mlflow", "static_configs": [mlflow]}],
        "alerting": {
            "alert_relabel_configs": list(list_unsent(settings)),
            "alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{alertmanager}"]}]}],
        },
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def is_firing(port: int, alert: str) -> bool:
    try:
        alerts = requests.get(f"http://{HOST}:{port}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
    except requests.RequestException:
        return False
    return any(each["labels"]["alertname"] == alert and each["state"] == "firing" for each in alerts)


def is_up(port: int) -> bool:
    try:
        query = requests.get(f"http://{HOST}:{port}/api/v1/query", params={"query": "up"}, timeout=5).json()
    except requests.RequestException:
        return False
    return [each["value"][1] for each in query["data"]["result"]] == ["1"]


def test_an_alert_arrives_with_what_a_person_needs(tmp_path: Path) -> None:
    programs = [require(tool) for tool in (PROMETHEUS, ALERTMANAGER)]
    settings = stack_context("azure", "prod", alerting=_ALERTING).settings
    receiver = AlertReceiver()
    prometheus, alertmanager = free_ports(2)
    with receiver.run() as address:
        config = write_alertmanager_config(build_configuration(settings), tmp_path, address)
        with run(build_alertmanager_command(programs[1], config, alertmanager), tmp_path / "alertmanager.log"):
            exporter = ThreadingHTTPServer((HOST, 0), _Exporter)
            config = configure_prometheus(tmp_path, exporter.server_address[1], alertmanager, settings)
            with run(build_prometheus_command(programs[0], config, prometheus), tmp_path / "prometheus.log"):
                with serve_in_thread(exporter):
                    eventually(lambda: is_up(prometheus))
                    eventually(lambda: receiver.find("Watchdog"))
                fault = time.time()
                notified = eventually(lambda: receiver.find("MlflowDown"), _FOR + 120)[0]
    assert {each.path for each in receiver.find("Watchdog")} == {"/heartbeat"}
    assert notified.path == "/slack"
    assert _FOR <= notified.at - fault + _EVALUATION <= _FOR + 120
    (attachment,) = json.loads(notified.text)["attachments"]
    assert attachment["title"] == "FIRING MlflowDown: MLflow is down"
    for line in ("Stack azure-prod, severity critical, owner platform", "Dashboard: /d/mlflow"):
        assert line in attachment["text"]
    assert "Runbook: platform/runbooks/MlflowDown.md" in attachment["text"]
