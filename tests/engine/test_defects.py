"""Defects of a platform, made on purpose in a copy of the project, and what the rehearsal says of each.

Proves that what would keep pods from running in production keeps the rehearsal from passing, that the message has the
scheduler's, the controller's or admission's own reason and names the setting to change, and that the rehearsal passes
again once the defect is mended. The control plane, the charts and Helm are real; that pods which are scheduled run is
simulated. What the API server alone would refuse is proven in tests/cluster.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rehearsal.charts import VARIABLE
from tests.engine.project import Project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder with the charts' packages"),
]

AZURE = "azure-dev"
MLFLOW = "infra/cluster/mlflow.py"


@pytest.fixture(scope="module")
def azure(control_plane: None, engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:  # noqa: ARG001
    """A copy in which azure-dev runs as it should; each test breaks it, and mends it again."""
    project = Project(tmp_path_factory.mktemp("defects"))
    run = project.rehearse("up", AZURE)
    assert run.code == 0, run.text
    return project


DEFECTS = {
    "a pod that asks for what no node has": (
        MLFLOW,
        '"limits": {"cpu": "1", "memory": "2Gi"}',
        '"limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}',
        ["Deployment mlflow/mlflow", "Insufficient nvidia.com/gpu", "Add a node pool that has it", "rolled back"],
    ),
    "a pod that reads a Secret which is not there": (
        MLFLOW,
        '"existingDatabaseSecret": {"name": _DATABASE_SECRET}',
        '"existingDatabaseSecret": {"name": "mlflow-db"}',
        ["Deployment mlflow/mlflow", 'secret "mlflow-db" not found', "Remedy: "],
    ),
    "a pod without the label that its identity needs": (
        MLFLOW,
        '"extraPodLabels": dict(identity.pod_labels)',
        '"extraPodLabels": {}',
        ["mlflow/mlflow", "azure.workload.identity/use"],
    ),
    "a manifest that the API server refuses": (
        "infra/cluster/namespaces.py",
        '"pods": str(profile.pods)',
        '"pods": "many"',
        ["-quota", "quantities must match the regular expression"],
    ),
}


@pytest.mark.parametrize(("file", "old", "new", "said"), DEFECTS.values(), ids=DEFECTS)
def test_a_defect_fails_the_rehearsal_with_its_reason_and_its_remedy(
    azure: Project, file: str, old: str, new: str, said: list[str]
) -> None:
    with azure.edited(file, old, new):
        complaint = azure.rehearse("up", AZURE).complaint
    for words in said:
        assert words in complaint


def test_after_all_of_them_the_mended_stack_passes(azure: Project) -> None:
    run = azure.rehearse("up", AZURE)
    assert run.code == 0, run.text
    assert "Pending" not in run.text
