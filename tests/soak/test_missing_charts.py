"""A stack on a machine that has no chart, and that no repository of charts can be reached from.

Proves that its rehearsal says so, checks Kubernetes objects offline, and passes. What each chart needs is proven where
there are charts.
"""

from __future__ import annotations

import pytest

from rehearsal import toolchain
from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Project

pytestmark = pytest.mark.soak

STACK = "azure-dev"


def test_a_stack_is_rehearsed_without_charts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    if any((toolchain.CACHE / "charts").glob("*.tgz")):
        pytest.skip("charts have been pulled on this machine, so that their repositories can be reached")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    run = project.rehearse("up", STACK)
    assert run.returncode == 0, run.output
    assert "There is no control plane, so Kubernetes objects are only checked offline: none of the" in run.output
    assert f"Set {FOLDER_VARIABLE} to a folder" in run.output
    assert "mlflow 1.11.5: not rendered" in run.output
