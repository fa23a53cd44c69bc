"""The summary of a rehearsal, from a state and event logs written by hand.

Proves how the engine's output is read. tests/engine proves that a real run ends with the summary.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kernel.engine_events import list_refusals
from kernel.support_calendars import CHECKED, EKS, LONGEST_WITHOUT_CHECK
from policies import ReviewedException, get_control
from rehearsal.helm.chart_policies import ChartEvaluation, Violation
from rehearsal.helm.charts import Chart
from rehearsal.helm.rendering import RenderedRelease
from rehearsal.kubernetes.cluster import ClusterReport
from rehearsal.simulator.core.circumstances import USUAL, Circumstances
from rehearsal.summary import policy_results, render

MLFLOW = Chart("mlflow", "1.0.0")

SIGNATURE = "4dabf18193072939515e22adb298388d"


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:azure-dev::groundwork::{type_}::{name}"


STACK = urn("pulumi:pulumi:Stack", "groundwork-azure-dev")
NETWORK = urn("groundwork:azure:Network", "network")
NODES = urn("azure-native:network:Subnet", "network-nodes")
RESOURCES = [
    {
        "urn": STACK,
        "type": "pulumi:pulumi:Stack",
        "outputs": {"cluster": "acme-gw-dev-aks", "kubeconfig": {SIGNATURE: "x", "ciphertext": "y"}},
    },
    {"urn": urn("pulumi:providers:aws", "aws"), "type": "pulumi:providers:aws", "custom": True, "parent": STACK},
    {"urn": urn("pulumi:providers:time", "default_0_1_0"), "type": "pulumi:providers:time", "custom": True},
    {"urn": NETWORK, "type": "groundwork:azure:Network", "parent": STACK},
    {"urn": NODES, "type": "azure-native:network:Subnet", "custom": True, "parent": NETWORK},
    {"urn": NODES + "-child", "type": "azure-native:network:Route", "custom": True, "parent": NODES},
    {
        "urn": urn("kubernetes:helm.sh/v3:Release", "mlflow"),
        "type": "kubernetes:helm.sh/v3:Release",
        "custom": True,
        "parent": STACK,
        "inputs": {"chart": "mlflow", "version": "1.0.0"},
    },
]


@pytest.fixture
def summary(tmp_path: Path) -> Any:
    def summarize(
        changes: dict[str, int],
        *charts: ChartEvaluation,
        cluster: ClusterReport | None = None,
        failures: Sequence[str] = (),
        placeholders: Sequence[str] = (),
        circumstances: Circumstances = USUAL,
        inaccessible_services: Sequence[str] = (),
    ) -> str:
        log = tmp_path / "events.jsonl"
        log.write_text(json.dumps({"summaryEvent": {"resourceChanges": changes}}) + "\n")
        steps = dict.fromkeys(("preview", "up", "second preview"), log)
        state = json.dumps({"deployment": {"resources": RESOURCES}})
        return render(
            "azure-dev",
            state,
            steps,
            charts,
            [],
            cluster,
            failures,
            placeholders,
            None,
            circumstances=circumstances,
            inaccessible_services=inaccessible_services,
        )

    return summarize


def test_resources_are_counted_by_outermost_component_and_by_kind(summary: Any) -> None:
    text = summary({"same": 6})
    assert "     2  azure / network" in text
    assert "     1  stack" in text
    assert "     2  azure-native network" in text
    assert "\n3 resources; the engine counts 6, with components (1), providers (1) and the stack itself\n" in text


def test_the_first_line_is_the_outcome(summary: Any) -> None:
    assert " Rehearsal of azure-dev: PASSED " in summary({"same": 6}).splitlines()[0]
    failed = summary({"same": 6}, failures=["its charts", "its cluster"])
    assert " Rehearsal of azure-dev: FAILED at its charts and its cluster " in failed.splitlines()[0]


def test_outputs_are_shown_and_secrets_are_not(summary: Any) -> None:
    text = summary({"same": 6})
    assert "cluster            acme-gw-dev-aks" in text
    assert "kubeconfig         [secret]" in text


def test_refusals_are_read_with_the_names_of_their_resources() -> None:
    def diagnostic(message: str, severity: str = "error", urn: str = NODES) -> dict[str, Any]:
        return {"diagnosticEvent": {"urn": urn, "message": message, "severity": severity}}

    events = [
        {"preludeEvent": {}},
        diagnostic("<{%fg 9%}>error: <{%reset%}>NetcfgInvalidSubnet\n"),
        diagnostic("one is deprecated", "warning", NETWORK),
        diagnostic("update failed", urn=STACK),
        diagnostic("preview failed", urn=""),
    ]
    assert list_refusals(events) == {"network-nodes": "error: NetcfgInvalidSubnet\n"}


def test_services_that_are_closed_to_the_caller_are_listed(summary: Any) -> None:
    assert "Closed to the caller\n  nothing\n" in summary({"same": 6})
    assert "Closed to the caller\n  vault kv\n" in summary({"same": 6}, inaccessible_services=["vault kv"])


def test_calendars_that_are_too_old_for_the_day_are_listed(summary: Any) -> None:
    assert "calendar of versions" not in summary({"same": 6})
    later = Circumstances(CHECKED + LONGEST_WITHOUT_CHECK + timedelta(days=1))
    assert f"EKS's calendar of versions was last compared with {EKS.source}" in summary(
        {"same": 6}, circumstances=later
    )


def test_settings_that_only_the_real_stack_can_read_are_named(summary: Any) -> None:
    text = summary({"same": 6}, placeholders=["shop:database.password"])
    assert "  placeholder     shop:database.password: encrypted in the stack's file" in text


def test_a_chart_that_was_not_rendered_is_reported_as_such(summary: Any) -> None:
    unseen = ChartEvaluation(MLFLOW, RenderedRelease(skip_reason="no such host"))
    assert "mlflow 1.0.0: not rendered: no such host" in summary({"same": 6}, unseen)


def test_a_charts_objects_are_counted_and_its_violations_named(summary: Any) -> None:
    control = get_control("k8s-pod-seccomp")
    exception = ReviewedException(control.id, "mlflow/Job/*", "it has none", date(2030, 1, 1))
    violations = [
        Violation("mlflow/Job/a", control, "first container", exception),
        Violation("mlflow/Job/a", control, "second container", exception),
        Violation("mlflow/Job/b", control, "first container", None),
    ]
    job, monitor = {"kind": "Job"}, {"kind": "ServiceMonitor"}
    text = summary(
        {"same": 6}, ChartEvaluation(MLFLOW, RenderedRelease([job, job, monitor], [monitor], ["a: no"]), 7, violations)
    )
    assert "mlflow 1.0.0: 3 objects rendered, 2 checked, 1 not checked (custom kinds)" in text
    assert "7 checks passed, 1 failed, 1 exempt" in text
    assert "refused a: no" in text
    assert "failed mlflow/Job/b at k8s-pod-seccomp" in text
    assert "exempt mlflow/Job/a from k8s-pod-seccomp until 2030-01-01" in text


def test_objects_that_an_api_server_accepted_are_not_reported_as_unchecked(summary: Any) -> None:
    monitor = {"kind": "ServiceMonitor"}
    chart = ChartEvaluation(MLFLOW, RenderedRelease([monitor], [monitor]))
    assert "1 objects rendered, 0 checked, 1 not checked (custom kinds)" in summary({"same": 6}, chart)
    text = summary({"same": 6}, chart, cluster=ClusterReport("v1.33.13"))
    assert "1 objects rendered, accepted by the API server" in text


def test_without_a_control_plane_the_summary_reports_that_nothing_ran(summary: Any) -> None:
    text = summary({"same": 6})
    assert "none: there is no control plane" in text
    assert "checked offline and start no pods" in text


def test_the_cluster_section_lists_what_is_simulated_and_what_is_not_ready(summary: Any) -> None:
    report = ClusterReport(
        version="v1.33.13",
        pods={"Running": 12, "Pending": 1},
        capacity=["user   2 nodes"],
        notes=["one node was added"],
        served_kinds=["InferenceService"],
        simulated_webhook_calls={"check.example": 3},
        unserved_objects={"Widget": 2},
        problems=["Deployment a/b: 0/1 pods ready: no room"],
    )
    lines = [" ".join(line.split()) for line in summary({"same": 6}, cluster=report).splitlines()]
    for line in (
        "control plane Kubernetes v1.33.13",
        "pods 1 Pending, 12 Running",
        "pool user 2 nodes",
        "note one node was added",
        "reconciled InferenceService, by a real controller",
        "webhook check.example called 3 times, accepted: its pods are simulated",
        "not reconciled 2 Widget: their controllers are simulated pods",
        "not ready Deployment a/b: 0/1 pods ready: no room",
    ):
        assert line in lines


def test_changes_of_the_second_preview_are_shown(summary: Any) -> None:
    assert "0 changes, 6 unchanged" in summary({"same": 6})
    assert "CHANGES: 1 to create, 2 to update" in summary({"same": 3, "update": 2, "create": 1})


MESSAGE = "[advisory]  2 checks depend on values that are not known yet; a run that knows them decides: a (1), b (1)"


def test_undecided_is_neither_passed_nor_failed() -> None:
    events: list[dict[str, Any]] = [
        {"policyAnalyzeSummaryEvent": {"passed": ["a", "b"], "failed": ["c", "d"]}},
        {"policyEvent": {"policyName": "c", "enforcementLevel": "advisory", "message": MESSAGE}},
        {"policyEvent": {"policyName": "d", "enforcementLevel": "warning", "message": "d: x", "resourceUrn": "u::box"}},
        {"policyAnalyzeStackSummaryEvent": {"passed": ["e"]}},
    ]
    results = policy_results(events)
    assert (results.passed, results.failed, results.undecided, results.advisories) == (3, 1, 2, ["d: box"])
