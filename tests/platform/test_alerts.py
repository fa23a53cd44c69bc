"""The rules of platform/alerts: Prometheus' own tool checks and tests them, and a real Prometheus loads them.

Proves that each alert fires, stays silent and handles absent metrics; that it states who acts, what is wrong and which
runbook helps; and that every metric in alerts and dashboards is in the list of a component's metrics
(platform/alerts/metrics, each with its source). Does not prove that a component still exposes the metrics in its
documentation, nor that anything scrapes it. promtool and Prometheus are built from their Go module; tests are skipped
if that is not possible.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.scenarios.prometheus import PROMETHEUS, PROMTOOL
from tests.support.alert_rules import (
    DASHBOARDS,
    PLATFORM,
    RULE_FILES,
    RUNBOOKS,
    Prometheus,
    list_alerts,
    list_panel_queries,
    list_rules,
    require,
    run_prometheus,
)

TESTS = [path.with_name(f"{path.stem}_test.yaml") for path in RULE_FILES]
METRICS = sorted((PLATFORM / "alerts" / "metrics").glob("*.yaml"))
CASES = ("fires", "stays silent", "with absent metrics")
ALWAYS_FIRES = {"Watchdog"}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with run_prometheus(require(PROMETHEUS), tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def run_promtool(*arguments: str | Path) -> None:
    reply = subprocess.run([require(PROMTOOL), *arguments], capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stdout + reply.stderr


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_rules_are_valid(path: Path) -> None:
    run_promtool("check", "rules", "--lint=all", "--lint-fatal", path)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_pass_their_unit_tests(path: Path) -> None:
    run_promtool("test", "rules", path)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_alert_is_tested(path: Path) -> None:
    cases = {case["name"]: case for case in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["tests"]}
    rules = path.with_name(path.name.replace("_test", ""))
    alerts = Counter(
        rule["alert"]
        for group in yaml.safe_load(rules.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    )
    for alert, variants in alerts.items():
        expected = CASES[:1] if alert in ALWAYS_FIRES else CASES
        assert not [case for case in expected if f"{alert} {case}" not in cases], alert
        firing = [fired for name, case in cases.items() if name.startswith(f"{alert} fires") for fired in expect(case)]
        assert len({fired["exp_labels"]["severity"] for fired in firing}) == variants, alert
        if alert not in ALWAYS_FIRES:
            assert not expect(cases[f"{alert} stays silent"]), alert


def expect(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [alert for test in case.get("alert_rule_test", ()) for alert in test["exp_alerts"]]


def test_a_real_prometheus_loads_every_rule(prometheus: Prometheus) -> None:
    loaded = Counter(rule["name"] for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"])
    assert loaded == Counter(rule.get("alert") or rule["record"] for rule in list_rules())


@pytest.mark.parametrize("rule", list_alerts(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_an_alert_states_who_acts_and_names_its_runbook(rule: dict[str, Any]) -> None:
    assert set(rule["labels"]) == {"severity", "owner"}
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert rule["labels"]["owner"] in ("platform", "model-owner")
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "dashboard", "runbook"}
    board = re.fullmatch(r"/d/([a-z-]+)(\?.*)?", annotations["dashboard"])
    assert board
    assert PLATFORM / "dashboards" / f"{board[1]}.json" in DASHBOARDS
    assert annotations["runbook"] == f"platform/runbooks/{rule['alert']}.md"
    assert (RUNBOOKS / f"{rule['alert']}.md").exists()


@cache
def exposed() -> set[str]:
    names = set()
    for path in METRICS:
        recorded = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        names |= {*recorded["metrics"]}
        names |= {f"{name}_{end}" for name in recorded.get("histograms", ()) for end in ("bucket", "count", "sum")}
    return names | {rule["record"] for rule in list_rules() if "record" in rule}


@pytest.mark.parametrize("path", METRICS, ids=lambda path: path.stem)
def test_a_list_of_metrics_has_a_source(path: Path) -> None:
    recorded = yaml.safe_load(path.read_text())
    assert recorded["how"] in ("recorded", "documented")
    assert recorded["source"].startswith("https://") or recorded["how"] == "recorded"


def test_a_component_exposes_every_metric_of_an_alert(prometheus: Prometheus) -> None:
    named = {rule.get("alert") or rule["record"]: prometheus.find_metrics(rule["expr"]) for rule in list_rules()}
    assert {name: metrics - exposed() for name, metrics in named.items() if metrics - exposed()} == {}
    assert all(metrics for name, metrics in named.items() if name not in ALWAYS_FIRES)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_component_exposes_every_metric_of_a_dashboard(prometheus: Prometheus, path: Path) -> None:
    """Prometheus' own parser finds them, and rejects invalid PromQL."""
    queries = list(list_panel_queries(path))
    assert queries
    for query in queries:
        metrics = prometheus.find_metrics(query)
        assert metrics, query
        assert metrics - exposed() == set(), query
