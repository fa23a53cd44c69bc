"""Defects of a platform, made on purpose in a copy of the project, and what the rehearsal says of each.

Proves that what would keep pods from running in production keeps the rehearsal from passing, that the message has the
scheduler's, the controller's or admission's own reason and names the setting to change, and that the rehearsal passes
again once the defect is mended. The control plane, the charts and Helm are real; that pods which are scheduled run is
simulated. What the API server alone would refuse is proven in tests/cluster.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from rehearsal.charts import VARIABLE
from rehearsal.cluster import binaries
from tests.engine.project import TIMEOUT, Project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder with the charts' packages"),
]

AZURE, AWS = "azure-dev", "aws-dev"
MLFLOW = "infra/cluster/mlflow.py"


@pytest.fixture(scope="module")
def control_plane() -> None:
    reason = binaries.ready()
    if reason:
        pytest.skip(f"no control plane: {reason}")


@pytest.fixture(scope="module")
def azure(control_plane: None, engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:  # noqa: ARG001
    """A copy in which azure-dev runs as it should; each test breaks it, and mends it again."""
    project = Project(tmp_path_factory.mktemp("defects"), engine)
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
    "a hook's Job that fails": (
        "infra/cluster/monitoring.py",
        '"patch": {"resources": _resources("20m", "32Mi", "128Mi")}',
        '"patch": {"resources": _resources("20m", "32Mi", "128Mi"), '
        '"podAnnotations": {"rehearsal.groundwork/exit-code": "1"}}',
        ["kube-prometheus-stack-admission-create", "container create ended with exit code 1", "rolled back"],
    ),
    "a manifest that the API server refuses": (
        "infra/cluster/namespaces.py",
        '"pods": str(profile.pods)',
        '"pods": "many"',
        ["mlflow-quota", "quantities must match the regular expression"],
    ),
}


@pytest.mark.xdist_group("defects")
@pytest.mark.parametrize(("file", "old", "new", "said"), DEFECTS.values(), ids=DEFECTS)
def test_a_defect_fails_the_rehearsal_with_its_reason_and_its_remedy(
    azure: Project, file: str, old: str, new: str, said: list[str]
) -> None:
    with azure.edited(file, old, new):
        complaint = azure.rehearse("up", AZURE).complaint
    for words in said:
        assert words in complaint


@pytest.mark.xdist_group("defects")
def test_after_all_of_them_the_mended_stack_passes(azure: Project) -> None:
    run = azure.rehearse("up", AZURE)
    assert run.code == 0, run.text
    assert "Pending" not in run.text


@pytest.fixture
def aws(control_plane: None, project: Project) -> Project:  # noqa: ARG001
    return project


def test_volumes_without_the_add_on_that_makes_them_stay_pending(aws: Project) -> None:
    aws.edit("infra/aws/cluster.py", '"aws-ebs-csi-driver",', '"metrics-server",')
    complaint = aws.rehearse("up", AWS).complaint
    assert "kube-prometheus-stack" in complaint
    assert 'storageclass.storage.k8s.io "ebs-csi-default-sc" not found' in complaint


def _programs(folder: Path) -> dict[str, int]:
    """The processes of the rehearsal's cluster by the names of their programs."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text().split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if any(str(folder) in argument for argument in command[1:]):
            found[Path(command[0]).name] = int(path.parent.name)
    return found


def _api_server(project: Project) -> int:
    """The API server's process, once the engine is at work in the cluster."""
    deadline = time.monotonic() + TIMEOUT
    while not any(type_.startswith("kubernetes:core") for _, type_, _ in project.journal(AWS)):
        assert time.monotonic() < deadline, "nothing was created in the cluster"
        time.sleep(0.2)
    return _programs(project.rehearsal(AWS))["kube-apiserver"]


def test_an_api_server_that_is_killed_in_mid_run_ends_it_and_the_next_run_goes_on(aws: Project) -> None:
    process = aws.start("up", AWS)
    os.kill(_api_server(aws), signal.SIGKILL)
    text, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode != 0
    assert "Traceback" not in text
    assert "kube-apiserver ended in mid-run (signal 9)" in text
    again = aws.rehearse("up", AWS)
    assert again.code == 0, again.text


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_no_process_is_left_however_the_rehearsal_ends(aws: Project, ending: signal.Signals) -> None:
    process = aws.start("up", AWS)
    _api_server(aws)
    assert {"etcd", "kube-apiserver", "kwok"} <= set(_programs(aws.rehearsal(AWS)))
    if ending == signal.SIGINT:
        os.killpg(process.pid, ending)  # as a terminal does
    else:
        os.kill(process.pid, ending)
    process.communicate(timeout=TIMEOUT)
    deadline = time.monotonic() + 15
    while left := _programs(aws.rehearsal(AWS)):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)
