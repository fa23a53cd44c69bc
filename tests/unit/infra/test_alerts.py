"""Alert rules, receivers and dashboards in the cluster, on a foundation of constant values.

Proves which objects a stack declares, that their links lead to this stack, that Alertmanager's own tool accepts its
configuration with every receiver and routes by severity as documented, that no alert goes to a receiver that drops it,
and that no secret's value is declared. Does not prove that a notification arrives.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from infra.cluster.alert_receivers import (
    AlertReceivers,
    AlertReceiversArgs,
    build_configuration,
    has_receivers,
    list_flows,
    list_unsent,
)
from infra.cluster.alerts import Alerts, AlertsArgs
from infra.cluster.monitoring import REPLACED_ALERTS, Monitoring, MonitoringArgs
from infra.cluster.versions import KUBE_PROMETHEUS_STACK
from infra.contract import Foundation
from rehearsal.scenarios.prometheus import AMTOOL
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.alert_rules import DASHBOARDS, PLATFORM, RULE_FILES, list_alerts, require
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components, record_platform

EMAIL: dict[str, Any] = {"telemetry": {"alertEmail": "ml-oncall@acme.org"}}
ALL: dict[str, Any] = {
    "slack": "alerts-slack",
    "teams": "alerts-teams",
    "pagerduty": "alerts-pagerduty",
    "heartbeat": "alerts-heartbeat",
    "smtpHost": "smtp.acme.org:587",
    "smtpUser": "ml-platform",
    "smtpPassword": "alerts-smtp",
    "runbooks": "https://git.acme.org/groundwork/platform/runbooks/",
}
# Each receiver on its own, with the settings that it needs.
RECEIVERS = [{"slack": "a"}, {"teams": "a"}, {"pagerduty": "a"}, {"smtpHost": "smtp.acme.org:25"}]
RULE = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"


def declare_components(**overrides: Any) -> Recorder:
    """Declare only the components that are part of alerting."""
    context = stack_context("azure", "prod", **EMAIL, **overrides)

    def create(foundation: Foundation, options: pulumi.ResourceOptions) -> None:
        Monitoring("monitoring", MonitoringArgs(context), options)
        Alerts("alerts", AlertsArgs(context), options)
        AlertReceivers("alert-receivers", AlertReceiversArgs(context, foundation.secrets), options)

    return record_components(create)


@pytest.fixture(scope="module")
def declared() -> Recorder:
    return record_platform("prod", alerting=ALL, **EMAIL)


def settings(**alerting: Any) -> Any:
    return stack_context("azure", "prod", alerting=alerting, **EMAIL).settings


def rules(recorder: Recorder) -> dict[str, Any]:
    objects = [item.inputs for item in recorder.of_type(RULE)]
    return {item["metadata"]["name"]: item["spec"]["groups"] for item in objects}


def list_recorded(recorder: Recorder) -> list[Any]:
    return [rule for group in rules(recorder)["groundwork-stack"] for rule in group["rules"]]


def list_maxima(recorder: Recorder) -> dict[str, Any]:
    return {
        rule["labels"]["label_groundwork_pool"]: rule["expr"] for rule in list_recorded(recorder) if "labels" in rule
    }


def values(recorder: Recorder) -> Any:
    releases = [item.inputs for item in recorder.of_type(RELEASE)]
    (release_values,) = [item["values"] for item in releases if item["chart"] == "kube-prometheus-stack"]
    return release_values


@pytest.mark.slow
def test_every_file_of_rules_is_an_object_for_the_operator(declared: Recorder) -> None:
    assert set(rules(declared)) == {"groundwork-stack", *(f"groundwork-{path.stem}" for path in RULE_FILES)}
    for path in RULE_FILES:
        groups = yaml.safe_load(path.read_text())["groups"]
        deployed = rules(declared)[f"groundwork-{path.stem}"]
        expressions = [[rule["expr"] for rule in group["rules"]] for group in groups]
        assert [[rule["expr"] for rule in group["rules"]] for group in deployed] == expressions


@pytest.mark.slow
def test_links_lead_to_this_stacks_dashboards_and_runbooks(declared: Recorder) -> None:
    alerts = [rule for groups in rules(declared).values() for group in groups for rule in group["rules"]]
    annotations = [rule["annotations"] for rule in alerts if "alert" in rule]
    assert annotations
    domain = stack_context("azure", "prod").naming.domain
    for links in annotations:
        assert links["dashboard"].startswith(f"https://grafana.{domain}/d/")
        base, _, page = links["runbook"].rpartition("/")
        assert base == "https://git.acme.org/groundwork/platform/runbooks"
        assert (PLATFORM / "runbooks" / page).exists()


@pytest.mark.slow
def test_the_settings_that_rules_compare_with_are_recorded(declared: Recorder) -> None:
    recorded = list_recorded(declared)
    maxima = list_maxima(declared)
    pools = settings().cluster
    assert maxima == {
        "system": f"vector({pools.system_pool.maximum})",
        "user": f"vector({pools.user_pool.maximum})",
    }
    listed = yaml.safe_load((PLATFORM / "alerts" / "metrics" / "stack.yaml").read_text())["metrics"]
    assert {rule["record"] for rule in recorded} == set(listed)


def test_the_maximum_of_a_pool_with_gpus_is_recorded_too() -> None:
    pool = {"size": "Standard_NC4as_T4_v3", "maximum": 3}
    recorder = declare_components(cluster={"gpuPool": pool})
    assert list_maxima(recorder)["gpu"] == "vector(3)"


@pytest.mark.parametrize(("gitops", "number"), [({}, 0), ({"repository": "https://git.example.com/a/models.git"}, 1)])
def test_whether_there_is_a_gitops_repository_is_recorded(gitops: dict[str, Any], number: int) -> None:
    recorded = {rule["record"]: rule["expr"] for rule in list_recorded(declare_components(gitops=gitops))}
    assert recorded["groundwork_gitops_repositories"] == f"vector({number})"


def test_each_of_the_charts_alerts_that_ours_replace_exists_and_no_name_is_used_twice() -> None:
    folder = os.environ.get("GROUNDWORK_CHARTS")
    if not folder:
        pytest.skip("GROUNDWORK_CHARTS names no folder with the charts")
    with tarfile.open(Path(folder) / f"{KUBE_PROMETHEUS_STACK.name}-{KUBE_PROMETHEUS_STACK.version}.tgz") as chart:
        files = [chart.extractfile(member) for member in chart if "/rules-1.14/" in member.name]
        templates = "".join(file.read().decode() for file in files if file)
    of_the_chart = set(re.findall(r"^ *- alert: (\w+)$", templates, flags=re.MULTILINE))
    assert set(REPLACED_ALERTS) <= of_the_chart
    assert {rule["alert"] for rule in list_alerts()} & (of_the_chart - set(REPLACED_ALERTS)) == set()


@pytest.mark.slow
def test_grafanas_sidecar_finds_every_dashboard(declared: Recorder) -> None:
    maps = [item.inputs for item in declared.of_type("kubernetes:core/v1:ConfigMap")]
    boards = [item for item in maps if item["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]
    files = {name: json.loads(text)["uid"] for item in boards for name, text in item["data"].items()}
    assert files == {path.name: path.stem for path in DASHBOARDS}


def check_configuration(tmp_path: Path, **alerting: Any) -> Path:
    """Write the configuration to a file and have amtool check it; this does not read the files of secrets."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(build_configuration(settings(**alerting))))
    reply = subprocess.run([require(AMTOOL), "check-config", path], capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stdout + reply.stderr
    return path


@pytest.mark.process
def test_alertmanager_accepts_any_set_of_receivers(tmp_path: Path) -> None:
    for size in range(1, len(RECEIVERS) + 1):
        for chosen in itertools.combinations(RECEIVERS, size):
            check_configuration(tmp_path, **{name: value for one in chosen for name, value in one.items()})
    check_configuration(tmp_path, **ALL)


@pytest.mark.process
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=critical", "page"),
        ("severity=warning", "team"),
        ("severity=none", "heartbeat"),
        ("alertname=WithoutSeverity", "team"),
    ],
)
def test_alertmanager_routes_by_severity(tmp_path: Path, labels: str, receiver: str) -> None:
    path = check_configuration(tmp_path, **ALL)
    command: list[str | Path] = [require(AMTOOL), "config", "routes", "test", f"--config.file={path}", labels]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == receiver


@pytest.mark.parametrize("alerting", [*RECEIVERS, ALL], ids=lambda chosen: "+".join(chosen))
def test_no_receiver_drops_alerts(alerting: dict[str, Any]) -> None:
    configuration = build_configuration(settings(**alerting))
    routed = {route["receiver"] for route in (configuration["route"], *configuration["route"]["routes"])}
    receivers = {receiver["name"]: receiver for receiver in configuration["receivers"]}
    assert routed == set(receivers)
    for receiver in receivers.values():
        assert any(receiver[kind] for kind in receiver if kind.endswith("_configs"))


def test_critical_alerts_reach_the_team_as_well_as_the_pager() -> None:
    receivers = {one["name"]: one for one in build_configuration(settings(**ALL))["receivers"]}
    assert set(receivers["team"]) < set(receivers["page"])
    assert set(receivers["page"]) - set(receivers["team"]) == {"pagerduty_configs"}


def test_without_a_receiver_there_is_no_alertmanager_and_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda text, *_: warnings.append(text))
    alertmanager = values(declare_components())["alertmanager"]
    assert alertmanager["enabled"] is False
    assert warnings == [], "the preview before has warned"
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    declare_components()
    assert [text for text in warnings if "Alerts are shown only in Grafana and sent to nobody" in text]
    assert list(list_flows(settings())) == []
    assert not has_receivers(settings(heartbeat="a"))  # it notifies no people of alerts


def test_alerts_without_a_receiver_are_not_sent() -> None:
    assert [rule["regex"] for rule in list_unsent(settings(slack="a"))] == ["info", "none"]
    assert [rule["regex"] for rule in list_unsent(settings(slack="a", heartbeat="b"))] == ["info"]


@pytest.mark.slow
def test_secrets_are_read_from_files_that_external_secrets_syncs(declared: Recorder) -> None:
    kinds = [item.inputs for item in declared.resources if item.inputs.get("kind") == "ExternalSecret"]
    (secret,) = [item for item in kinds if item["metadata"]["name"] == "alert-receivers"]
    keys = {item["secretKey"]: item["remoteRef"]["key"] for item in secret["spec"]["data"]}
    assert keys == {
        "slack": "gw/alerts-slack",
        "teams": "gw/alerts-teams",
        "pagerduty": "gw/alerts-pagerduty",
        "heartbeat": "gw/alerts-heartbeat",
        "smtpPassword": "gw/alerts-smtp",
    }
    spec = values(declared)["alertmanager"]["alertmanagerSpec"]
    (volume,), (mount,) = spec["volumes"], spec["volumeMounts"]
    assert volume["secret"] == {"secretName": "alert-receivers", "optional": True}
    text = json.dumps(values(declared)["alertmanager"]["config"])
    read = {part.split('"')[0] for part in text.split(f"{mount['mountPath']}/")[1:]}
    assert read == set(keys)


def test_alertmanager_reaches_its_receivers_and_no_other_port() -> None:
    ports = {(str(flow.client), str(flow.server), flow.port) for flow in list_flows(settings(**ALL))}
    sender = "monitoring/alertmanager"
    assert ports == {(sender, place, port) for place in ("Internet", "private network") for port in (443, 587)}
    assert {flow.port for flow in list_flows(settings(smtpHost="smtp.acme.org:25"))} == {25}
