"""Grafana's dashboards, as the program provisions them.

Proves that the files are what the code generates, that each is a valid dashboard for the types of Grafana's Foundation
SDK, which are generated from Grafana's schema, that panels have unique identifiers and do not overlap, and that
variables of queries exist. Queries are parsed in test_alerts.py. Does not prove how a dashboard looks: Grafana is not
started.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from observability.__main__ import find_outdated, render_files
from tests.support.alert_rules import DASHBOARDS, PLATFORM

OF_GRAFANA = {"__rate_interval"}


def test_generated_files_are_up_to_date() -> None:
    assert find_outdated(render_files()) == []


def test_a_file_that_was_changed_by_hand_is_outdated() -> None:
    changed = PLATFORM / "dashboards" / "slo.json"
    assert changed in find_outdated({**dict.fromkeys(DASHBOARDS, ""), changed: "{}\n"})


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    found: dict[str, Any] = json.loads(path.read_text())
    assert found["uid"] == path.stem
    return found


def test_it_is_valid_according_to_the_schema(dashboard: dict[str, Any]) -> None:
    read = Dashboard.from_json(dashboard)
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == dashboard


def test_panels_have_unique_identifiers_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    occupied: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & occupied, panel["title"]
        assert place["x"] + place["w"] <= 24
        occupied |= cells


def test_queries_use_variables_that_exist(dashboard: dict[str, Any]) -> None:
    known = {variable["name"] for variable in dashboard["templating"].get("list", ())} | OF_GRAFANA
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    assert {name for query in queries for name in re.findall(r"\$(\w+)", query)} <= known
