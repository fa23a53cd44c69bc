"""Failover, failback and what they refuse, between two stacks whose clusters and engines are stand-ins.

PostgreSQL and its programs are real, and so are the files of backups and artifacts. Proves that the standby gets the
same rows and files, what is refused and with which remedy, and that data is saved before it is replaced.
tests/soak/test_recovery.py has real clusters, an engine and MLflow.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import DeployError
from deploy.findings import render
from deploy.programs import Answer
from deploy.stack import read_stack
from operations import backup, engine_state, health, pair, recovery, validation
from operations.database import find_database
from operations.target import STACKS, Target
from tests.support import postgresql
from tests.support.postgresql import PostgresServer, run_server

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(bool(postgresql.find_obstacle()), reason=postgresql.find_obstacle() or "there is a server"),
]

PRIMARY, STANDBY = "aws-dev", "aws-staging"
SCHEMA = """
CREATE TABLE registered_models (name text PRIMARY KEY);
CREATE TABLE registered_model_aliases (name text, alias text, version int);
CREATE TABLE model_versions (name text, version int, source text, storage_location text);
CREATE TABLE logged_models (model_id text, artifact_location text);
"""


@dataclasses.dataclass(frozen=True)
class StandIn(Target):
    """A stack whose cluster and engine return values of `facts`, and record their commands in `log`."""

    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    log: list[str] = dataclasses.field(default_factory=list)

    def get_output(self, name: str) -> str:
        self._require_region()
        return str(self.facts[name])

    def kubectl(self, *arguments: str, text: str | None = None) -> str:  # noqa: ARG002 the signature
        self._require_region()
        self.log.append(" ".join(arguments))
        encoded = base64.b64encode(b"mlflow").decode()
        return json.dumps({"data": {"username": encoded, "password": encoded}, "items": []})

    def ask_kubectl(self, *arguments: str) -> Answer:
        if self.facts["is_away"]:
            return Answer(1, "", "connection refused")
        return Answer(0, self.kubectl(*arguments), "")

    def ask(self, program: str, *arguments: str, text: str | None = None, **variables: str) -> Answer:
        if program != "pulumi":
            return super().ask(program, *arguments, text=text, **variables)
        self.log.append(" ".join(("pulumi", *arguments)))
        if arguments[:2] == ("stack", "import"):
            self.facts["resources"] = [{"urn": "one"}]
        return Answer(0, json.dumps({"deployment": {"resources": self.facts["resources"]}}), "")

    def _require_region(self) -> None:
        if self.facts["is_away"]:
            raise DeployError("the region does not answer")


@dataclasses.dataclass
class Region:
    target: StandIn
    artifacts: Path

    def write(self, model: str) -> None:
        """Register a version, whose files are in the region's artifacts, and give it an alias."""
        root = self.artifacts.as_uri()
        (self.artifacts / model).mkdir(parents=True)
        (self.artifacts / model / "model.skops").write_text(model)
        statements = (
            f"INSERT INTO registered_models VALUES ('{model}');"  # noqa: S608 names of this test
            f"INSERT INTO registered_model_aliases VALUES ('{model}', 'champion', 1);"
            f"INSERT INTO model_versions VALUES ('{model}', 1, '{root}/{model}', '{root}/{model}');"
        )
        find_database(self.target)._ask_psql(statements)

    def list_locations(self) -> dict[str, str]:
        return {each.model: each.location for each in find_database(self.target).list_versions()}


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    with (
        tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True) as folder,
        run_server(Path(folder, "a")) as one,
        run_server(Path(folder, "b")) as other,
    ):
        for server in (one, other):
            server.create_login("mlflow", "mlflow")
        yield one, other


@pytest.fixture
def regions(
    servers: tuple[PostgresServer, PostgresServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Region, Region]:
    """The primary with a model, and an empty standby; both have been backed up."""
    settings = {"backup_store": (tmp_path / "backups").as_uri()}
    regions = []
    for name, server, more in ((PRIMARY, servers[0], {"standby": STANDBY}), (STANDBY, servers[1], {})):
        region = create_region(name, server, tmp_path / name, settings | more)
        find_database(region.target)._ask_psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        find_database(region.target)._ask_psql(SCHEMA)
        regions.append(region)
    primary, standby = regions
    targets = {region.target.name: region.target for region in regions}
    monkeypatch.setattr(pair, "read_target", targets.__getitem__)
    monkeypatch.setattr("deploy.engine.Engine.select_stack", lambda *_, **__: "")
    primary.write("churn")
    for region in regions:
        backup.create(region.target)
    return primary, standby


def create_region(name: str, server: PostgresServer, artifacts: Path, resilience: dict[str, str]) -> Region:
    stack = read_stack(name, STACKS)
    assert stack.settings
    location = {PRIMARY: "eu-west-1", STANDBY: "eu-central-1"}[name]
    changes = {
        "location": location,
        "gitops": stack.settings.gitops.model_copy(update={"repository": ""}),
        "resilience": stack.settings.resilience.model_copy(update=resilience),
    }
    stack = dataclasses.replace(stack, settings=stack.settings.model_copy(update=changes))
    facts = {
        "is_away": False,
        "resources": [{"urn": "one"}],
        "artifacts": artifacts.as_uri(),
        "trackingDatabase": "db.example.com",
    }
    return Region(StandIn(stack, {**os.environ, **server.access}, is_rehearsed=True, facts=facts), artifacts)


def fail_over(primary: Region) -> None:
    primary.target.facts["is_away"] = True
    recovery.fail_over(PRIMARY, is_planned=False)


def test_the_standby_gets_rows_and_files(regions: tuple[Region, Region], capsys: pytest.CaptureFixture[str]) -> None:
    primary, standby = regions
    fail_over(primary)
    assert standby.list_locations() == {"churn": f"{standby.artifacts.as_uri()}/churn"}
    assert (standby.artifacts / "churn" / "model.skops").read_text() == "churn"
    text = capsys.readouterr().err
    assert re.search(r"writes of the last \d+ min are lost", text)  # however long the machine took
    assert "within the 15 min of the RTO" in text
    scaled = [line for line in standby.target.log if line.startswith("scale")]
    assert [line.rpartition("=")[2] for line in scaled] == ["0", "2"], (
        "stopped, then started with the replicas of the settings"
    )
    with pytest.raises(DeployError, match=f"{STANDBY} already serves, since .*`make failback STACK={PRIMARY}`"):
        recovery.fail_over(PRIMARY, is_planned=False)


def test_failover_from_a_healthy_primary_has_to_be_planned(regions: tuple[Region, Region]) -> None:
    primary, standby = regions
    with pytest.raises(DeployError, match=r"its Kubernetes API is ready; its database accepts logins.*PLANNED=1"):
        recovery.fail_over(PRIMARY, is_planned=False)
    assert standby.list_locations() == {}
    primary.write("late")
    recovery.fail_over(PRIMARY, is_planned=True)
    assert standby.list_locations().keys() == {"churn", "late"}, "the last write was moved too"
    assert "--replicas=0" in " ".join(primary.target.log)


def test_a_lost_state_of_the_engine_is_restored_first(regions: tuple[Region, Region]) -> None:
    primary, standby = regions
    standby.target.facts["resources"] = []
    fail_over(primary)
    commands = [" ".join(line.split()[:3]) for line in standby.target.log if line.startswith("pulumi ")]
    assert commands.index("pulumi stack import") < commands.index("pulumi refresh --yes")


def test_an_empty_state_is_not_backed_up(regions: tuple[Region, Region]) -> None:
    primary, _ = regions
    primary.target.facts["resources"] = []
    with pytest.raises(DeployError, match="has no resources, and would replace a good one"):
        backup.create(primary.target)


def test_failover_without_a_backup_is_rejected(regions: tuple[Region, Region], tmp_path: Path) -> None:
    primary, standby = regions
    (folder,) = (tmp_path / "backups" / PRIMARY / "backups").iterdir()
    (folder / "manifest.json").unlink()
    with pytest.raises(DeployError, match="There is no backup in"):
        fail_over(primary)
    assert standby.list_locations() == {}


def test_artifacts_that_differ_from_the_backup_stop_a_failover(regions: tuple[Region, Region], tmp_path: Path) -> None:
    primary, standby = regions
    (tmp_path / "backups" / PRIMARY / "artifacts" / "churn" / "model.skops").write_text("another")
    with pytest.raises(DeployError, match="The restored models differ from the backup: churn/1"):
        fail_over(primary)
    assert "rollout status" not in " ".join(standby.target.log), "MLflow stays stopped"


def test_failback_keeps_the_writes_of_the_standby(regions: tuple[Region, Region]) -> None:
    primary, standby = regions
    fail_over(primary)
    standby.write("meanwhile")
    with pytest.raises(DeployError, match="does not answer yet"):
        recovery.fail_back(PRIMARY)
    primary.target.facts["is_away"] = False
    recovery.fail_back(PRIMARY)
    assert primary.list_locations() == {
        model: f"{primary.artifacts.as_uri()}/{model}" for model in ("churn", "meanwhile")
    }
    with pytest.raises(DeployError, match="there is nothing to move"):
        recovery.fail_back(PRIMARY)


def test_diverged_data_is_refused_and_saved_before_it_is_replaced(
    regions: tuple[Region, Region], tmp_path: Path
) -> None:
    primary, standby = regions
    primary.write("after-the-backup")
    fail_over(primary)
    standby.write("meanwhile")
    primary.target.facts["is_away"] = False
    with pytest.raises(DeployError, match=r"(?s)registered_models: 1 rows .* 2 rows .*has diverged.*KEEP=aws-staging"):
        recovery.fail_back(PRIMARY)
    assert primary.list_locations().keys() == {"churn", "after-the-backup"}, "nothing has been changed"
    with pytest.raises(DeployError, match="has diverged"):
        recovery.fail_back(PRIMARY, kept="another")
    recovery.fail_back(PRIMARY, kept=STANDBY)
    assert primary.list_locations().keys() == {"churn", "meanwhile"}
    (saved,) = (tmp_path / "backups" / PRIMARY).glob("diverged-*.dump")
    find_database(primary.target).restore(saved)
    assert "after-the-backup" in primary.list_locations()


def test_an_empty_primary_has_not_diverged(regions: tuple[Region, Region]) -> None:
    primary, _ = regions
    fail_over(primary)
    primary.target.facts["is_away"] = False
    find_database(primary.target)._ask_psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    recovery.fail_back(PRIMARY)
    assert primary.list_locations().keys() == {"churn"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda settings: {"location": settings.location.replace("central-1", "west-1")},
            "is in eu-west-1, as is aws-dev",
        ),
        (lambda _: {"cloud": "azure"}, "neither cloud's tools can copy artifacts to the other"),
    ],
)
def test_a_standby_that_could_not_take_over_is_rejected(
    regions: tuple[Region, Region],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], dict[str, Any]],
    problem: str,
) -> None:
    primary, standby = regions
    settings = standby.target.settings
    stack = dataclasses.replace(standby.target.stack, settings=settings.model_copy(update=change(settings)))
    targets = {PRIMARY: primary.target, STANDBY: dataclasses.replace(standby.target, stack=stack)}
    monkeypatch.setattr(pair, "read_target", targets.__getitem__)
    with pytest.raises(DeployError, match=problem):
        recovery.fail_over(PRIMARY, is_planned=False)


def test_a_missing_standby_is_reported(regions: tuple[Region, Region]) -> None:
    assert regions
    with pytest.raises(DeployError, match=r"aws-staging has no standby: set groundwork:resilience\.standby"):
        recovery.fail_over(STANDBY, is_planned=False)


def test_validation_compares_with_the_backup(regions: tuple[Region, Region], monkeypatch: pytest.MonkeyPatch) -> None:
    primary, standby = regions
    monkeypatch.setattr(health, "check", lambda _: [])
    monkeypatch.setattr(engine_state, "find_changes", lambda _: "")
    fail_over(primary)
    text = render(validation.validate(PRIMARY))
    assert f"serves    {STANDBY}, since" in text
    assert "all 1 versions of the backup" in text
    assert "missing  standby   the Kubernetes API of aws-dev does not answer" in text
    (standby.artifacts / "churn" / "model.skops").write_text("another")
    assert "missing  models    files differ from the backup" in render(validation.validate(PRIMARY))


@pytest.mark.parametrize(("seconds", "stack"), [(-1, STANDBY), (0, PRIMARY), (1, PRIMARY)])
def test_a_standby_is_compared_with_its_own_backups_once_they_are_newer_than_the_failover(
    regions: tuple[Region, Region], seconds: int, stack: str
) -> None:
    """`seconds` is the time from the standby's newest backup to the failover."""
    stacks = pair.read_pair(PRIMARY)
    newest = {region.target.name: backup.require_newest(backup.find_store(region.target)) for region in regions}
    since = newest[STANDBY].time + timedelta(seconds=seconds)
    assert validation._require_reference(stacks, stacks.standby, since.isoformat()) == newest[stack]
