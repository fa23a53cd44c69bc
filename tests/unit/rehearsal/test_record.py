"""The record that a rehearsal writes for reports, which only the same version can read.

Proves its content with objects written by hand. tests/engine proves that a real rehearsal writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from policies import get_control
from rehearsal import record
from rehearsal.console import UserError
from rehearsal.helm.chart_policies import ChartEvaluation, Violation
from rehearsal.helm.charts import Chart
from rehearsal.helm.rendering import RenderedRelease
from rehearsal.kubernetes.cluster import ClusterReport


def rehearsal(folder: Path) -> Any:
    return SimpleNamespace(stack="azure-dev", folder=folder, placeholders=lambda: ["groundwork:token"])


def write(folder: Path, **others: Any) -> dict[str, Any]:
    preview = folder / "preview-events.jsonl"
    preview.write_text(json.dumps({"policyAnalyzeSummaryEvent": {"passed": ["a", "b"], "failed": []}}) + "\n")
    logs = {"preview": preview, "up": folder / "up-events.jsonl"}
    record.write(rehearsal(folder), logs, 47.123, [], **others)
    content = record.read(rehearsal(folder))
    assert content is not None
    return dict(content)


def test_a_record_has_the_content_of_the_summary(tmp_path: Path) -> None:
    violation = Violation("mlflow/Pod/x", get_control("k8s-pod-non-root"), "runs as root", None)
    secret = {"kind": "Secret", "data": {"key": "generated"}}
    charts = [
        ChartEvaluation(Chart("mlflow", "1.0.0"), RenderedRelease([secret]), 20, [violation]),
        ChartEvaluation(Chart("loki", "2.0.0"), RenderedRelease(skip_reason="no package")),
    ]
    content = write(tmp_path, charts=charts, cluster=ClusterReport("v1.33.13", {"Running": 84}))
    assert content["version"] == record.VERSION
    assert content["seconds"] == 47.1
    assert content["placeholders"] == ["groundwork:token"]
    assert list(content["steps"]) == ["preview"], "a step that did not start is not included"
    assert content["steps"]["preview"]["passed"] == 2
    assert content["cluster"]["pods"] == {"Running": 84}
    assert [(each["name"], each["skipReason"]) for each in content["charts"]] == [
        ("mlflow", ""),
        ("loki", "no package"),
    ]
    assert content["charts"][0]["failed"] == ["mlflow/Pod/x at k8s-pod-non-root"]
    assert "generated" not in (tmp_path / record.FILE).read_text(), "charts generate keys"


def test_without_a_control_plane_the_reason_is_recorded(tmp_path: Path) -> None:
    content = write(tmp_path, no_cluster_reason="there is no Go")
    assert (content["cluster"], content["noClusterReason"]) == (None, "there is no Go")


@pytest.mark.parametrize(
    ("content", "problem"),
    [('{"version": 99}', "has version 99, not 1"), ("[]", "has version None"), ("{", "is not JSON")],
    ids=["version", "list", "broken"],
)
def test_another_version_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    assert record.read(rehearsal(tmp_path)) is None
    (tmp_path / record.FILE).write_text(content)
    with pytest.raises(UserError, match="make rehearse STACK=azure-dev") as raised:
        record.read(rehearsal(tmp_path))
    assert problem in str(raised.value)
