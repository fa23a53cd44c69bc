"""The metrics that alerts and dashboards may name are the ones that the processes export.

Proves that the recorded list equals the registries of serving, promotion, rollout, retraining, drift and experiments,
and that a first rollback is seen as an increase. When their values change is proven by the tests of each package.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.process

PACKAGE = Path(__file__).resolve().parents[1]
RECORDED = PACKAGE.parent / "alerts" / "metrics" / "lifecycle.yaml"
# In a separate process, since serving decides at import where values are stored.
_LIST = """
from prometheus_client import REGISTRY
other = {family.name for family in REGISTRY.collect()}
from lifecycle.promotion import metrics
from lifecycle.rollout import metrics
from lifecycle.retraining import metrics
from lifecycle.experiment import metrics
from lifecycle.drift.metrics import ReportMetrics
REGISTRY.register(ReportMetrics())
from lifecycle.serving import metrics
for family in REGISTRY.collect():
    if family.name not in other:
        print(family.type, family.name + ("_total" if family.type == "counter" else ""))
"""


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(RECORDED.read_text())
    return found


def run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE / "src")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_the_recorded_metrics_are_the_processes_own() -> None:
    found = [line.split() for line in run(_LIST).splitlines()]
    assert recorded()["metrics"] == sorted(name for kind, name in found if kind != "histogram")
    assert recorded()["histograms"] == sorted(name for kind, name in found if kind == "histogram")


def test_a_first_rollback_is_an_increase() -> None:
    """Prometheus sees no increase of a series that begins with 1."""
    code = "from lifecycle.rollout import metrics; from prometheus_client import generate_latest; "
    code += "print(generate_latest(metrics.FINISHED).decode())"
    exposed = run(code)
    for status in ("rolled-back", "serving"):
        assert f'groundwork_rollouts_finished_total{{status="{status}"}} 0.0' in exposed
