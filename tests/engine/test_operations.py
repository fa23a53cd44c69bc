"""The commands for a running stack, on one shared rehearsed stack, in the order in which people use them.

Proves what each reports, what it changes, and what it refuses. PostgreSQL and the control plane are real; nodes,
processes in pods and the object store are simulated, so logs and responses of services are not tested here.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support import postgresql
from tests.support.operated_stack import ObjectStore, Operator, read_kubectl, served
from tests.support.postgresql import PostgresServer
from tests.support.rehearsed_stacks import RehearsedStacks
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with the charts"
    ),
    pytest.mark.skipif(bool(postgresql.find_obstacle()), reason=postgresql.find_obstacle() or "there is a server"),
]

STACK = "aws-dev"


class OperatedStack:
    """A rehearsed stack, and the operator who runs commands on it."""

    def __init__(self, operator: Operator, exports: str, database: PostgresServer, backups: Path) -> None:
        self.operator, self.exports, self.database, self.backups = operator, exports, database, backups

    def succeed(self, target: str, *variables: str) -> str:
        return self.operator.succeed(target, STACK, *variables)

    def fail(self, target: str, *variables: str) -> str:
        return self.operator.make(target, STACK, *variables).failure()

    def kubectl(self, *arguments: str) -> str:
        return read_kubectl(self.exports, *arguments)


@pytest.fixture(scope="module")
def stack(
    rehearsed_stacks: RehearsedStacks,
    control_plane: None,  # noqa: ARG001 skips if there is none
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatedStack]:
    folder = tmp_path_factory.mktemp("operations")
    copy = rehearsed_stacks.copy(STACK, folder / "project")
    backups = folder / "backups"
    copy.project.set(STACK, resilience={"backupStore": backups.as_uri()})
    store = ObjectStore(folder / "objects")
    with served(copy.project, STACK) as exports, postgresql.run_server(short_folder("operations")) as database:
        database.create_login("mlflow", read_password(exports))
        operator = Operator(copy.project, store.programs)
        operator.reach(STACK, exports, **database.access)
        yield OperatedStack(operator, exports, database, backups)


def short_folder(name: str) -> Path:
    """A folder with a short path, since a socket's path has at most 107 characters."""
    return Path(tempfile.mkdtemp(prefix="gw-")) / name


def read_password(exports: str) -> str:
    text = read_kubectl(exports, "get", "secret", "mlflow-database", "--namespace=mlflow", "--output=json")
    return base64.b64decode(json.loads(text)["data"]["password"]).decode()


def test_help_names_every_command(stack: OperatedStack) -> None:
    text = stack.operator.succeed("help", STACK)
    for command in "validate-config preflight status health smoke-test scale backup logs deploy failover".split():
        assert f"\n  {command} " in text


def test_the_settings_are_valid(stack: OperatedStack) -> None:
    assert f"ok       settings  stacks/Pulumi.{STACK}.yaml" in stack.succeed("validate-config")


def test_status_shows_what_is_deployed(stack: OperatedStack) -> None:
    text = stack.succeed("status")
    for part in (" resources, the last changed at ", "the Kubernetes API answers", "in pool user", " Running"):
        assert part in text
    assert "`make backup STACK=aws-dev`" in text


def test_health_finds_what_is_not_healthy(stack: OperatedStack) -> None:
    assert "all" in stack.succeed("health")
    stack.kubectl("patch", "deployment/mlflow", "--namespace=mlflow", "--type=json", f"--patch={UNSCHEDULABLE}")
    try:
        eventually(lambda: stack.operator.make("health", STACK).returncode != 0)
        text = stack.fail("health")
        assert "mlflow/mlflow" in text
        assert "WorkloadUnavailable.md" in text
    finally:
        stack.kubectl("rollout", "undo", "deployment/mlflow", "--namespace=mlflow")
        stack.kubectl("rollout", "status", "deployment/mlflow", "--namespace=mlflow", "--timeout=120s")


# A node selector that matches no node, and a strategy that deletes the old pods first.
UNSCHEDULABLE = json.dumps(
    [
        {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"nowhere": "true"}},
        {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}},
    ]
)


def test_the_smoke_test_runs_a_pod_and_deletes_it(stack: OperatedStack) -> None:
    text = stack.succeed("smoke-test")
    for part in ("a privileged pod is refused", "a new pod is admitted, scheduled and runs", "accepts the login"):
        assert part in text
    assert "smoke-test" not in stack.kubectl("get", "pods", "--namespace=mlflow")


def test_a_workload_is_scaled_and_the_command_to_undo_it_is_named(stack: OperatedStack) -> None:
    assert "1 -> 2 replicas" in stack.succeed("scale", "WORKLOAD=mlflow/mlflow", "REPLICAS=2")
    assert "2 -> 1 replicas" in stack.succeed("scale", "WORKLOAD=mlflow/mlflow", "REPLICAS=1")
    assert "not of the form <namespace>/<name>" in stack.fail("scale", "WORKLOAD=mlflow", "REPLICAS=2")
    assert "`make scale` needs WORKLOAD=" in stack.fail("scale")


def test_a_pool_is_scaled_through_its_settings(stack: OperatedStack) -> None:
    assert "2 to 10 -> 2 to 12 nodes" in stack.succeed("scale", "POOL=user", "MAXIMUM=12")
    assert "is not a valid range" in stack.fail("scale", "POOL=user", "MINIMUM=200")


def test_logs_show_pods_and_events(stack: OperatedStack) -> None:
    text = stack.succeed("logs", "WORKLOAD=mlflow/mlflow")
    assert "== mlflow/mlflow-" in text
    assert "its processes are simulated" in text
    assert "There is no pod of mlflow/nothing" in stack.succeed("logs", "WORKLOAD=mlflow/nothing")


def test_a_backup_is_complete_and_restorable_and_its_marker_is_set(stack: OperatedStack) -> None:
    text = stack.succeed("backup")
    assert "Backup 2" in text
    (folder,) = (path for path in (stack.backups / STACK / "backups").iterdir())
    assert {path.name for path in folder.iterdir()} == {"database.dump", "state.json", "manifest.json"}
    assert folder.name in stack.kubectl("get", "configmap", "last-backup", "--namespace=mlflow", "--output=yaml")
    assert "restores to the rows that were backed up" in stack.succeed("restore-test")
    (folder / "database.dump").write_bytes(b"damaged")
    assert "is damaged: its digest is not the one in the manifest" in stack.fail("restore-test")


def test_a_rotated_password_reaches_the_pods_and_the_old_one_is_refused(stack: OperatedStack) -> None:
    before = read_password(stack.exports)
    assert "Nothing has been changed" in stack.fail("rotate-password")
    pods = stack.kubectl("get", "pods", "--namespace=mlflow", "--output=name")
    with applied_passwords(stack):
        assert "It accepts the new one, and refuses the former." in stack.succeed("rotate-password", "YES=1")
    assert read_password(stack.exports) != before
    assert stack.kubectl("get", "pods", "--namespace=mlflow", "--output=name") != pods
    assert "accepts the login that MLflow uses" in stack.succeed("smoke-test")


@contextmanager
def applied_passwords(stack: OperatedStack) -> Iterator[None]:
    """In place of the simulated cloud, set the password of the stack's server on the real server."""
    ended = threading.Event()

    def apply() -> None:
        known = read_password(stack.exports)
        while not ended.is_set():
            password = read_password(stack.exports)
            if password != known:
                stack.database.execute(f"ALTER ROLE mlflow PASSWORD '{password}'")
                known = password
            ended.wait(0.2)

    thread = threading.Thread(target=apply)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_deployment_ends_with_health_and_smoke_test(stack: OperatedStack) -> None:
    run = stack.operator.make("deploy", STACK, "YES=1")
    assert run.returncode == 0, run.output
    assert "Smoke test of aws-dev" in run.output
