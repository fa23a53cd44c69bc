"""The files of platform/alerts, dashboards and runbooks, and the programs that read them. Proves nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from infra.cluster.alerts import list_rule_files
from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports
from rehearsal.toolchain import Tool
from tests.support.waiting import eventually

PLATFORM = Path(__file__).resolve().parents[2] / "platform"
RULE_FILES = list_rule_files()
DASHBOARDS = sorted((PLATFORM / "dashboards").glob("*.json"))
RUNBOOKS = PLATFORM / "runbooks"

Rule = Mapping[str, Any]


def require(tool: Tool) -> Path:
    """The program, built if needed; skips the test if it is not available."""
    try:
        return toolchain.ensure(tool)
    except UserError as error:
        pytest.skip(f"{tool.title} is not available: {error}")


@cache
def list_rules() -> Sequence[Rule]:
    """All rules, read once; callers must not change them."""
    groups = (yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["groups"] for path in RULE_FILES)
    return [rule for groups_of_file in groups for group in groups_of_file for rule in group["rules"]]


def list_alerts() -> Sequence[Rule]:
    return [rule for rule in list_rules() if "alert" in rule]


def list_panel_queries(path: Path) -> Iterator[str]:
    """A dashboard's PromQL as Grafana sends it, with the values of its variables."""
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query: str = target["expr"]
            for name in ("$model", "$version", "$namespace"):
                query = query.replace(name, ".*")
            yield query.replace("$__rate_interval", "2m")


class Prometheus:
    """A real Prometheus with the project's rules and nothing to scrape."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = requests.Session()
        self._session.trust_env = False  # proxies cannot reach this machine
        self._metrics: dict[str, set[str]] = {}

    def get(self, path: str, **parameters: str) -> Any:
        """The data of a response of its API. Raises AssertionError with the API's message for an error."""
        response = self._session.get(f"{self._address}{path}", params=parameters, timeout=30)
        assert response.ok, response.text
        return response.json()["data"]

    def find_metrics(self, query: str) -> set[str]:
        """The names of the metrics that a query selects, as the parser understands it."""
        if query not in self._metrics:
            self._metrics[query] = set(_find_names(self.get("/api/v1/parse_query", query=query)))
        return self._metrics[query]


@contextmanager
def run_prometheus(program: Path, folder: Path) -> Iterator[Prometheus]:
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"rule_files": [str(path) for path in RULE_FILES]}))
    (port,) = free_ports(1)
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen([program, *options], stdout=log, stderr=log) as process:
        try:
            prometheus = Prometheus(f"http://{HOST}:{port}")
            eventually(lambda: _is_ready(f"http://{HOST}:{port}/-/ready"))
            yield prometheus
        finally:
            process.terminate()


def _is_ready(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


def _find_names(node: Any) -> Iterator[str]:
    """The metric names in a syntax tree, from the `__name__` matcher of each selector."""
    if isinstance(node, dict):
        if node.get("type") in ("vectorSelector", "matrixSelector"):
            yield from (item["value"] for item in node["matchers"] if item["name"] == "__name__")
        for value in node.values():
            yield from _find_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _find_names(value)
