"""The runbooks: one for each alert, all with the same structure, with links and commands that exist.

Does not prove that following one fixes anything.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from infra.access import RETRAINING
from infra.cluster.lifecycle import CONTROLLER, RECEIVER, WORKER
from infra.contract import NetworkPolicyEngine
from tests.support.alert_rules import RUNBOOKS, list_alerts
from tests.support.declared_cluster import list_declared
from tests.support.every_case import check_every

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
ROOT = RUNBOOKS.parents[1]
MAKEFILE = (ROOT / "Makefile").read_text().splitlines()
SECTIONS = ["What it means", "How to see it", "First five minutes", "Fix", "Verify", "Afterwards"]
PROGRAMS = {"curl", "git", "helm", "kubectl", "make"}
# Runbooks of actions that people decide on, without an alert.
PROCEDURES = {"failed-deployment", "failover", "restore", "rollback", "store-away"}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {page.stem for page in PAGES} == {rule["alert"] for rule in list_alerts()} | PROCEDURES


def read_stem(page: Path) -> str:
    return page.stem


def test_it_has_the_common_structure() -> None:
    def check(page: Path) -> None:
        _, *sections = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
        assert sections[::2] == SECTIONS
        assert all(len(text.strip()) > 20 for text in sections[1::2])

    check_every(PAGES, check, read_stem)


def test_its_links_lead_to_a_file() -> None:
    def check(page: Path) -> None:
        targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        assert [target for target in targets if not (page.parent / target).exists()] == []

    check_every([*PAGES, RUNBOOKS / "README.md"], check, read_stem)


@pytest.mark.skipif(
    "GROUNDWORK_CHARTS" not in os.environ, reason="GROUNDWORK_CHARTS does not name a folder with the charts"
)
def test_its_workloads_exist() -> None:
    """Workloads of charts are only known if GROUNDWORK_CHARTS names a folder with the charts."""
    workloads = list_workloads()

    def check(page: Path) -> None:
        named = set(re.findall(r"--namespace ([a-z-]+) (deployment|statefulset)/([a-z-]+)", page.read_text()))
        assert named - workloads == set()

    check_every(PAGES, check, read_stem)


def list_workloads() -> set[tuple[str, str, str]]:
    """The namespace, kind and name of each workload."""
    declared = list_declared(NetworkPolicyEngine.CILIUM)
    found = {
        (item["metadata"].get("namespace", ""), item["kind"].lower(), item["metadata"]["name"]) for item in declared
    }
    # The sample stack has no images for these.
    return found | {("lifecycle", "deployment", process.name) for process in (RECEIVER, WORKER, CONTROLLER, RETRAINING)}


def test_its_targets_of_make_exist() -> None:
    targets = {target for line in MAKEFILE for target in re.findall(r"^([a-z-]+):.*## ", line)}

    def check(page: Path) -> None:
        assert set(re.findall(r"(?:`|\$ |, `)make ([a-z-]+)", page.read_text())) - targets == set()

    check_every([*PAGES, ROOT / "docs" / "operations.md"], check, read_stem)


def test_its_commands_use_programs_that_operators_have() -> None:
    def check(page: Path) -> None:
        commands = re.findall(r"^\$ (\w+)", page.read_text(), flags=re.MULTILINE)
        assert set(commands) <= PROGRAMS

    check_every(PAGES, check, read_stem)
