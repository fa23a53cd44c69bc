"""The recovery drill: a region is lost, another serves from the last backup, and the first one returns.

Uses two rehearsed stacks in different regions; PostgreSQL, MLflow, the engine, kubectl and git are real. Proves that
the registry has the same rows and its champion the same files, that a lost state of the engine is restored to one with
an empty preview, and how much time and data is lost: measured for real parts, as published for simulated ones. Does not
prove how long a real cloud takes, nor that models answer: the processes in their pods, the object stores and their
clients are simulated.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehearsal.simulator.core.state_store import StateStore
from tests.support import postgresql, registry_process
from tests.support.operated_stack import ObjectStore, Operator, read_kubectl, served
from tests.support.postgresql import PostgresServer, run_server
from tests.support.project import Project
from tests.support.registry_process import Registry, run_registry
from tests.support.rehearsed_stacks import RehearsedStacks

_OBSTACLE = postgresql.find_obstacle() or registry_process.find_obstacle()
pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(_OBSTACLE), reason=_OBSTACLE or "nothing is missing")]

PRIMARY, STANDBY, MODEL = "aws-dev", "aws-west", "breast-cancer"
REPOSITORY = "https://git.example.com/acme/models.git"


class Drill:
    """The two regions, and the stacks that are currently served in them."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.folder, self.backups = project, folder, folder / "backups"
        self.store = ObjectStore(folder / "objects")
        self.operator = Operator(project, self.store.programs)
        self.short = Path(tempfile.mkdtemp(prefix="gw-"))
        self.short.chmod(0o755)

    def reach(self, stack: str, exports: str, database: PostgresServer) -> str:
        """Make commands find the stack; returns the URI of its artifacts."""
        database.create_login("mlflow", read_password(exports))
        self.reach_again(stack, exports, database)
        (root,) = re.findall(r"s3://\S+", self.project.pulumi(exports, "stack", "output", "artifacts").output)
        return str(root)

    def reach_again(self, stack: str, exports: str, database: PostgresServer) -> None:
        # The repository from which the cluster deploys, under the URL in its settings.
        repository = (self.project.rehearsal(stack) / "gitops").as_uri()
        git = {
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
            "GIT_CONFIG_VALUE_0": REPOSITORY,
        }
        git |= {"GIT_CONFIG_KEY_1": "user.name", "GIT_CONFIG_VALUE_1": "Ada"}
        git |= {"GIT_CONFIG_KEY_2": "user.email", "GIT_CONFIG_VALUE_2": "ada@example.com"}
        self.operator.reach(stack, exports, **database.access, **git)

    def serve_registry(self, exports: str, database: PostgresServer, root: str) -> ExitStack:
        stack = ExitStack()
        self.registry: Registry = stack.enter_context(
            run_registry(database, read_password(exports), root, self.folder / "mlflow.log")
        )
        return stack


def read_password(exports: str) -> str:
    text = read_kubectl(exports, "get", "secret", "mlflow-database", "--namespace=mlflow", "--output=json")
    return base64.b64decode(json.loads(text)["data"]["password"]).decode()


@pytest.fixture
def drill(rehearsed_stacks: RehearsedStacks, tmp_path: Path) -> Iterator[Drill]:
    stack = rehearsed_stacks.copy(PRIMARY, tmp_path / "project")
    drill = Drill(stack.project, tmp_path)
    write_standby(drill)
    brought_up = drill.project.rehearse("up", STANDBY)
    assert brought_up.returncode == 0, brought_up.output
    yield drill
    shutil.rmtree(drill.short)


def write_standby(drill: Drill) -> None:
    """Write a stack like the primary in another region, and a model of the primary to the GitOps repository."""
    files = drill.project.folder / "stacks"
    text = (files / f"Pulumi.{PRIMARY}.yaml").read_text()
    assert "eu-west-1" in text
    (files / f"Pulumi.{STANDBY}.yaml").write_text(text.replace("eu-west-1", "eu-central-1"))
    common = {"backupStore": drill.backups.as_uri()}
    drill.project.set(PRIMARY, resilience={**common, "standby": STANDBY})
    drill.project.set(STANDBY, resilience=common)
    gitops = drill.project.folder / "platform" / "gitops" / "stacks"
    shutil.copytree(gitops / PRIMARY, gitops / STANDBY)


def test_a_region_is_lost_and_returns(drill: Drill) -> None:
    primary_data, standby_data = drill.short / "a", drill.short / "b"
    operator, store = drill.operator, drill.store
    with run_server(standby_data) as other:
        with served(drill.project, STANDBY) as exports:
            standby_root = drill.reach(STANDBY, exports, other)
            operator.succeed("backup", STANDBY)  # mainly for the state of its own engine
        with run_server(primary_data) as database, served(drill.project, PRIMARY) as exports:
            root = drill.reach(PRIMARY, exports, database)
            with drill.serve_registry(exports, database, root):
                version = drill.registry.register(MODEL, root, store.path(root))
                operator.succeed("backup", PRIMARY)
                operator.succeed("restore-test", PRIMARY)
                drill.registry.add_model("written-after-the-backup")
            refused = operator.make("failover", PRIMARY).failure()
            assert "its Kubernetes API is ready; its database accepts logins" in refused
            assert "PLANNED=1" in refused
            lose_region(drill, exports)
            database.destroy()
        store.lose(root)
        shutil.rmtree(drill.project.rehearsal(STANDBY) / "backend" / ".pulumi" / "stacks")

        with served(drill.project, STANDBY) as exports:
            drill.reach_again(STANDBY, exports, other)
            failed_over = operator.succeed("failover", PRIMARY)
            check_times(failed_over)
            assert f"state of {STANDBY} restored from the backup" in failed_over
            with drill.serve_registry(exports, other, standby_root):
                check_champion(drill, version, standby_root)
                assert "written-after-the-backup" not in drill.registry.list_models()
                drill.registry.add_model("written-by-the-standby")
            validated = operator.make("validate", PRIMARY).output
            assert "nothing would change" in validated
            assert "have the digest of the backup" in validated
            assert "already serves" in operator.make("failover", PRIMARY).failure()

            store.regain()
            regain_region(drill)
            with run_server(drill.short / "c") as database, served(drill.project, PRIMARY) as exports:
                root = drill.reach(PRIMARY, exports, database)
                with drill.serve_registry(exports, database, root):
                    drill.registry.add_model("written-by-the-primary")
                diverged = operator.make("failback", PRIMARY).failure()
                assert "The data has diverged, so nothing has been changed" in diverged
                assert "registered_models: " in diverged
                back = operator.succeed("failback", PRIMARY, f"KEEP={STANDBY}")
                check_times(back)
                assert "/diverged-" in back
                with drill.serve_registry(exports, database, root):
                    check_champion(drill, version, root)
                    models = drill.registry.list_models()
                assert "written-by-the-standby" in models
                assert "written-by-the-primary" not in models


def check_champion(drill: Drill, version: str, root: str) -> None:
    """Check that the registry refers to files in the region that serves, and that they are the registered ones."""
    champion = drill.registry.find_champion(MODEL)
    assert champion["version"] == version
    assert champion["source"].startswith(f"{root}/")
    assert (drill.store.path(champion["source"]) / "model.skops").read_bytes() == bytes(range(256)) * 64


def check_times(output: str) -> None:
    """Check the lost data and the duration that the command reports."""
    (lost,) = re.findall(r"writes of the last (\d+) min are lost", output) or ["0"]
    assert int(lost) <= 60
    (seconds,) = re.findall(r"(\d+) s  in all", output)
    assert int(seconds) <= 15 * 60, output
    print(output)


def lose_region(drill: Drill, exports: str) -> None:
    """Make the simulated cloud refuse every request in the region, and check that a deployment reports it."""
    state = StateStore(drill.project.rehearsal(PRIMARY) / "state.db")
    state.set_outages({"eu-west-1"})
    state.close()
    refused = drill.project.pulumi(exports, "refresh", "--yes", "--skip-preview")
    assert refused.returncode != 0
    assert "the endpoints of eu-west-1 do not answer" in refused.output


def regain_region(drill: Drill) -> None:
    state = StateStore(drill.project.rehearsal(PRIMARY) / "state.db")
    state.set_outages(())
    state.close()
