"""The summary of a rehearsal, from a state and event logs made by hand.

Proves how the engine's words are read. That a real run ends with it is proven in tests/engine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rehearsal.summary import render, verdicts

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
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("GROUNDWORK_CHARTS", raising=False)

    def make(changes: dict[str, int]) -> str:
        log = tmp_path / "events.jsonl"
        log.write_text(json.dumps({"summaryEvent": {"resourceChanges": changes}}) + "\n")
        steps = dict.fromkeys(("preview", "up", "second preview"), log)
        return render("azure-dev", json.dumps({"deployment": {"resources": RESOURCES}}), steps, 12.3)

    return make


def test_resources_are_counted_by_outermost_component_and_by_kind(summary: Any) -> None:
    text = summary({"same": 6})
    assert "     2  azure / network" in text
    assert "     1  stack" in text
    assert "     2  azure-native network" in text
    assert "3 resources in 12 s" in text


def test_outputs_are_shown_and_secrets_are_not(summary: Any) -> None:
    text = summary({"same": 6})
    assert "cluster            acme-gw-dev-aks" in text
    assert "kubeconfig         [secret]" in text


def test_what_was_not_checked_is_said(summary: Any) -> None:
    assert "mlflow 1.0.0: templates not rendered, values not checked: no package" in summary({"same": 6})


def test_changes_of_the_second_preview_are_shown(summary: Any) -> None:
    assert "0 changes, 6 unchanged" in summary({"same": 6})
    assert "CHANGES: 1 to create, 2 to update" in summary({"same": 3, "update": 2, "create": 1})


def test_undecided_is_neither_passed_nor_failed() -> None:
    events: list[dict[str, Any]] = [
        {"policyAnalyzeSummaryEvent": {"passed": ["a", "b"], "failed": ["c", "d"]}},
        {"policyEvent": {"policyName": "c", "enforcementLevel": "advisory", "message": "can't run policy 'c' ..."}},
        {"policyEvent": {"policyName": "d", "enforcementLevel": "warning", "message": "d: x", "resourceUrn": "u::box"}},
        {"policyAnalyzeStackSummaryEvent": {"passed": ["e"]}},
    ]
    said = verdicts(events)
    assert (said.passed, said.failed, said.undecided, said.advisories) == (3, 1, 1, ["d: box"])
