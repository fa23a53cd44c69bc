"""azure-dev with a defect that keeps pods from starting, and without it.

Proves that what a failed rehearsal leaves behind does not keep the next one from passing. tests/engine/test_defects.py
has the defects, each with its message.
"""

from __future__ import annotations

import os

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Project

pytestmark = pytest.mark.soak

AZURE = "azure-dev"


@pytest.mark.skipif(FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} names no folder with the charts")
@pytest.mark.usefixtures("control_plane")
def test_a_repaired_stack_passes(project: Project) -> None:
    old = '"existingDatabaseSecret": {"name": _DATABASE_SECRET}'
    with project.edited("infra/cluster/mlflow.py", old, old.replace("_DATABASE_SECRET", '"mlflow-db"')):
        assert 'secret "mlflow-db" not found' in project.rehearse("up", AZURE).failure()
    repaired = project.rehearse("up", AZURE)
    assert repaired.returncode == 0, repaired.output
    assert "Pending" not in repaired.output
