"""Defects made on purpose in azure-dev while it is up.

Proves that what would keep pods from running in production keeps an update, or the rehearsal, from passing, and that
the message has the scheduler's, the controller's or admission's own reason and names the setting to change. The
control plane, the charts and Helm are real; that pods which are scheduled run is simulated, and so are the clouds'
APIs. What a chart or the API server refuses at once is proven in tests/cluster and, with the engine, in tests/soak, as
is that a stack passes once its defects are mended.

All tests share one stack, and each starts from what the settings say: a test that leaves it half-changed makes the
update of the next one longer, and changes nothing of its result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Stack
from tests.support.rehearsed_stacks import RehearsedStacks

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} names no folder with the charts"),
]

AZURE = "azure-dev"
MLFLOW = "infra/cluster/mlflow.py"


@pytest.fixture(scope="module")
def stack(rehearsed_stacks: RehearsedStacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """azure-dev as it came up in a fresh copy of the project."""
    copy = rehearsed_stacks.copy(AZURE, tmp_path_factory.mktemp("project"))
    yield copy
    copy.stop_serving()


# Edits of the program, and words of the message about each.
NO_SUCH_DEVICE = (
    (
        MLFLOW,
        '"limits": {"cpu": "1", "memory": "2Gi"}',
        '"limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}',
    ),
    ["Deployment mlflow/mlflow", "Insufficient nvidia.com/gpu", "Set groundwork:cluster.gpuPool.size", "rolled back"],
)
NO_SUCH_SECRET = (
    (MLFLOW, '"existingDatabaseSecret": {"name": _DATABASE_SECRET}', '"existingDatabaseSecret": {"name": "mlflow-db"}'),
    ["Deployment mlflow/mlflow", 'secret "mlflow-db" not found', "Remedy: "],
)
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

# The operator creates the pod, so that only the API server sees its containers.
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
def test_pods_that_would_not_start_fail_the_update_and_each_reason_is_named(stack: Stack) -> None:
    defects = NO_SUCH_DEVICE, NO_SUCH_SECRET
    with ExitStack() as edits:
        for edit, _ in defects:
            edits.enter_context(stack.project.edited(*edit))
        complaint = stack.pulumi("up", "--yes", "--skip-preview", "--policy-pack", "policies").failure()
    for _, words in defects:
        assert [each for each in words if each not in complaint] == []


@pytest.mark.usefixtures("control_plane")
def test_defects_that_only_appear_in_the_cluster_fail_the_rehearsal(stack: Stack) -> None:
    defects = NO_IDENTITY, READS_ALL_SECRETS, NO_FIXED_VERSION
    with ExitStack() as edits:
        for edit, _ in defects:
            edits.enter_context(stack.project.edited(*edit))
        complaint = stack.rehearse("up").failure()
    for _, words in defects:
        assert [each for each in words if each not in complaint] == []
    assert f"The rehearsal of {AZURE} failed at its charts and its cluster" in complaint
