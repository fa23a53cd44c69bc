"""Deliberate defects in azure-dev that the engine does not detect, and a stack that passes once one is fixed.

Proves that a rehearsal fails if pods would not run in production, with the reason of the controller or of admission in
its message; and that the next rehearsal passes regardless of what a failed one leaves behind. The control plane, the
charts and Helm are real; the running of scheduled pods and the clouds' APIs are simulated. tests/engine/test_azure.py
has defects that fail an update.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Project
from tests.support.rehearsed_stacks import RehearsedStacks

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with the charts"
    ),
]

AZURE = "azure-dev"
MLFLOW = "infra/cluster/mlflow.py"


# Each edit of the program, and parts of its message.
NO_IDENTITY = (
    (MLFLOW, '"extraPodLabels": dict(identity.pod_labels)', '"extraPodLabels": {}'),
    ["mlflow/mlflow", "azure.workload.identity/use"],
)
READS_ALL_SECRETS = (
    ("infra/cluster/monitoring.py", '"collectorsExclude": ["secrets"],', ""),
    [
        "ClusterRole/kube-prometheus-stack-kube-state-metrics: [high] k8s-rbac-secrets: ",
        "Remedy: use a Role in the namespace",
    ],
)

# The operator creates the pod, so only the API server sees its containers.
NO_FIXED_VERSION = (
    (
        "infra/cluster/monitoring.py",
        '"retentionSize": f"{size * 8 // 10}GiB"',
        '"retentionSize": f"{size * 8 // 10}GiB", '
        '"containers": [{"name": "more", "image": "docker.io/library/busybox", '
        '"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, '
        '"readOnlyRootFilesystem": True}}]',
    ),
    [
        "StatefulSet monitoring/prometheus-kube-prometheus-stack-prometheus",
        "ValidatingAdmissionPolicy 'k8s-pod-image-tag'",
        "Remedy: name a version tag other than latest, or a digest",
    ],
)


@pytest.mark.usefixtures("control_plane")
def test_defects_that_only_appear_in_the_cluster_fail_the_rehearsal(
    rehearsed_stacks: RehearsedStacks, tmp_path: Path
) -> None:
    stack = rehearsed_stacks.copy(AZURE, tmp_path)
    defects = NO_IDENTITY, READS_ALL_SECRETS, NO_FIXED_VERSION
    with ExitStack() as edits:
        for edit, _ in defects:
            edits.enter_context(stack.project.edited(*edit))
        output = stack.rehearse("up").failure()
    for _, words in defects:
        assert [each for each in words if each not in output] == []
    assert f"The rehearsal of {AZURE} failed at its charts and its cluster" in output


@pytest.mark.usefixtures("control_plane")
def test_a_stack_passes_once_a_defect_is_fixed(project: Project) -> None:
    old = '"existingDatabaseSecret": {"name": _DATABASE_SECRET}'
    with project.edited(MLFLOW, old, old.replace("_DATABASE_SECRET", '"mlflow-db"')):
        assert 'secret "mlflow-db" not found' in project.rehearse("up", AZURE).failure()
    run = project.rehearse("up", AZURE)
    assert run.returncode == 0, run.output
    assert "Pending" not in run.output
