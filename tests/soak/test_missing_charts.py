"""A stack on a machine without charts that cannot reach any chart repository.

Proves that its rehearsal reports this, checks Kubernetes objects offline, and passes. The needs of each chart are
tested where charts are available.
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
        pytest.skip("charts have been pulled on this machine, so their repositories can be reached")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    run = project.rehearse("up", STACK)
    assert run.returncode == 0, run.output
    assert "There is no control plane, so Kubernetes objects are only checked offline: none of the" in run.output
    assert f"Set {FOLDER_VARIABLE} to a folder" in run.output
    assert "mlflow 1.11.5: not rendered" in run.output
