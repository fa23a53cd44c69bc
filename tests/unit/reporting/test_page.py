"""The page of a report, from findings written by hand.

Proves that it is one file that loads nothing, that untrusted text adds no markup to it, and what its sections show.
test_page_in_browser.py proves that people can read it.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from reporting import page
from reporting.changes import Kind, PropertyChange, ResourceChange
from reporting.policy_results import Violation
from tests.support.report_findings import GROUP, OPEN_PORT, POOL, cost, duration, findings, urn

RESOURCES: list[dict[str, Any]] = [
    {"urn": urn("pulumi:pulumi:Stack", "stack"), "type": "pulumi:pulumi:Stack"},
    {"urn": urn("groundwork:azure:Network", "network"), "type": "groundwork:azure:Network"},
    {
        "urn": urn("azure-native:network:VirtualNetwork", "network"),
        "type": "azure-native:network:VirtualNetwork",
        "custom": True,
        "parent": urn("groundwork:azure:Network", "network"),
        "inputs": {"addressSpace": {"addressPrefixes": ["10.20.0.0/16"]}},
    },
    {
        "urn": urn("azure-native:network:Subnet", "network-nodes"),
        "type": "azure-native:network:Subnet",
        "custom": True,
        "parent": urn("groundwork:azure:Network", "network"),
        "inputs": {"addressPrefix": "10.20.0.0/18"},
    },
    {
        "urn": urn(GROUP, "network-nodes"),
        "type": GROUP,
        "custom": True,
        "parent": urn("groundwork:azure:Network", "network"),
        "inputs": {
            "securityRules": [
                {"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "destinationPortRange": "22",
                 "sourceAddressPrefix": "Internet"},
                {"direction": "Inbound", "access": "Deny", "destinationPortRange": "*"},
            ]
        },
    },
]  # fmt: skip

RECORD: dict[str, Any] = {
    "version": 1,
    "finishedAt": "2026-11-30T03:00:00+00:00",
    "seconds": 47.1,
    "failures": [],
    "steps": {"preview": {"passed": 204, "failed": 0, "undecided": 8, "advisories": []}},
    "charts": [
        {"name": "mlflow", "version": "1.0.0", "objects": 9, "skipReason": "", "passed": 20, "failed": [],
         "exempt": []},
        {"name": "loki", "version": "2.0.0", "objects": 0, "skipReason": "no package", "passed": 0, "failed": [],
         "exempt": []},
    ],
    "cluster": {
        "version": "v1.33.13",
        "capacity": ["system 2 nodes"],
        "notes": ["Kubernetes 1.36 is declared"],
        "served_kinds": ["Application"],
        "unserved_objects": {"Certificate": 3},
        "simulated_webhook_calls": {"webhook.cert-manager.io": 16},
    },
    "noClusterReason": "",
}  # fmt: skip


class Tags(HTMLParser):
    """All tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def render(**others: Any) -> str:
    content: dict[str, Any] = {
        "violations": [OPEN_PORT],
        "cost": cost(),
        "duration": duration(),
        "resources": RESOURCES,
        "record": RECORD,
        **others,
    }
    return page.render(findings(**content))


def test_nothing_is_loaded_and_nothing_runs() -> None:
    tags = Tags(render()).found
    assert not {tag for tag, _ in tags} & {"script", "img", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "srcset", "data", "action", "xlink:href"):
                assert value.startswith("#") or value == "data:,", (tag, value)
    assert not re.search(r"url\(|@import", render())
    [policy] = [each["content"] for tag, each in tags if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_every_section_exists_and_is_linked() -> None:
    tags = Tags(render()).found
    sections = [attributes["id"] for tag, attributes in tags if tag == "section"]
    assert sections == ["changes", "policies", "topology", "cost", "time", "access", "parity", "fidelity"]
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert links == [f"#{each}" for each in sections]


def test_the_topology_shows_layers_network_and_open_groups() -> None:
    text = render()
    assert "Layers: 3 resources" in text
    assert "<code>10.20.0.0/16</code>" in text
    assert "<code>10.20.0.0/18</code>" in text
    assert '<span class="tag bad">Tcp 22 from Internet</span>' in text


def test_the_gantt_chart_marks_the_critical_path() -> None:
    text = render()
    assert text.count('<li class="critical">') == 3
    assert 'style="left:33.33%;width:33.33%"' in text
    assert "of the deployment of a new stack" in text


def test_steps_that_are_left_out_are_counted() -> None:
    schedule = duration(200)
    assert "141 shorter steps" in render(duration=schedule).replace("\n", " ")


def test_fidelity_says_what_was_real_and_what_was_not() -> None:
    text = render()
    assert "scheduler of Kubernetes v1.33.13" in text
    assert "loki not rendered" in text
    assert "not reconciled: 3 Certificate" in text
    text = render(record=None)
    assert "the stack was previewed, not rehearsed" in text


@pytest.mark.parametrize("missing", ["cost", "duration"])
def test_a_missing_estimate_is_reported(missing: str) -> None:
    assert "<p>Not estimated.</p>" in render(**{missing: None})


def test_untrusted_text_is_not_markup() -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=y>\u202e"
    change = ResourceChange(
        f"urn:pulumi:s::p::a:b:C::{hostile}", hostile, Kind.CHANGED, (PropertyChange(hostile, hostile, [hostile]),)
    )
    text = render(
        changes=[change],
        violations=[Violation(hostile, hostile, hostile, is_mandatory=False)],
        refusals={hostile: hostile},
        refused_settings=hostile,
        setting_changes=[hostile],
        data_losses=[(change, hostile)],
        not_rehearsed=[hostile],
        resources=[*RESOURCES, {"urn": urn(POOL, hostile), "type": POOL, "custom": True, "parent": hostile}],
        duration={**duration(), "steps": [{**duration()["steps"][0], "name": hostile, "type": hostile}]},
    )
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert not any(name.startswith("on") for _, attributes in Tags(text).found for name in attributes)
