"""The runbooks: one for each alert, all of one shape, whose links and commands lead somewhere.

Does not prove that following one mends anything.
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

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
ROOT = RUNBOOKS.parents[1]
MAKEFILE = (ROOT / "Makefile").read_text().splitlines()
SECTIONS = ["What it means", "How to see it", "First five minutes", "Mend", "Verify", "Afterwards"]
PROGRAMS = {"curl", "git", "helm", "kubectl", "make"}
# What people decide to do, rather than are alerted to.
PROCEDURES = {"failed-deployment", "failover", "restore", "rollback", "store-away"}


def test_every_alert_has_one_and_every_one_an_alert() -> None:
    assert {page.stem for page in PAGES} == {rule["alert"] for rule in list_alerts()} | PROCEDURES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_has_the_shape_of_all(page: Path) -> None:
    _, *sections = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    assert sections[::2] == SECTIONS
    assert all(len(text.strip()) > 20 for text in sections[1::2])


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=lambda page: page.stem)
def test_its_links_lead_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_workloads_exist(page: Path) -> None:
    """Those of charts are known where GROUNDWORK_CHARTS names a folder with the charts."""
    named = set(re.findall(r"--namespace ([a-z-]+) (deployment|statefulset)/([a-z-]+)", page.read_text()))
    if named and "GROUNDWORK_CHARTS" not in os.environ:
        pytest.skip("GROUNDWORK_CHARTS names no folder with the charts")
    missing = named - list_workloads() if named else set()
    assert missing == set()


def list_workloads() -> set[tuple[str, str, str]]:
    """Namespace, kind and name."""
    declared = list_declared(NetworkPolicyEngine.CILIUM)
    found = {
        (item["metadata"].get("namespace", ""), item["kind"].lower(), item["metadata"]["name"]) for item in declared
    }
    # The sample has no image of these.
    return found | {("lifecycle", "deployment", process.name) for process in (RECEIVER, WORKER, CONTROLLER, RETRAINING)}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "operations.md"], ids=lambda page: page.stem)
def test_its_targets_of_make_exist(page: Path) -> None:
    targets = {target for line in MAKEFILE for target in re.findall(r"^([a-z-]+):.*## ", line)}
    assert set(re.findall(r"(?:`|\$ |, `)make ([a-z-]+)", page.read_text())) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_are_of_programs_that_operators_have(page: Path) -> None:
    commands = re.findall(r"^\$ (\w+)", page.read_text(), flags=re.MULTILINE)
    assert set(commands) <= PROGRAMS
