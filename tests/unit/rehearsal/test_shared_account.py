"""Two stacks in one simulated account: which stacks share it, what the second one finds, and how collisions are found.

Proves it with states written by hand; tests/soak/test_scenarios.py uses real stacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from rehearsal.console import UserError
from rehearsal.project import Project, ScenarioSettings
from rehearsal.session import Rehearsal
from rehearsal.shared_account import find_neighbour, list_collisions, share_account
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore

BUCKET, CLUSTER, SECRET = "aws:s3/bucket:Bucket", "aws:eks/cluster:Cluster", "kubernetes:core/v1:Secret"
CLOUDS = {"a": "aws", "b": "azure", "c": "aws", "d": "gcp"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for stack, cloud in CLOUDS.items():
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(f"config:\n  shop:cloud: {cloud}\n")
    return Project(tmp_path, "shop", tmp_path, scenarios=ScenarioSettings("cloud"))


def fill(rehearsal: Rehearsal, records: Iterable[tuple[str, str]]) -> None:
    rehearsal.folder.mkdir(parents=True, exist_ok=True)
    with closing(StateStore(rehearsal.files.state)) as state:
        for type_, id_ in records:
            state.put(ResourceRecord(type_, id_, f"urn:{rehearsal.stack}:{id_}", 0, {"by": rehearsal.stack}, {}))


def read(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    with closing(StateStore(rehearsal.files.state)) as state:
        return sorted((record.type, record.id) for record in state.all())


@pytest.mark.parametrize(("stack", "neighbour"), [("a", "c"), ("c", "a")])
def test_the_neighbour_has_the_same_cloud(project: Project, stack: str, neighbour: str) -> None:
    assert find_neighbour(Rehearsal(stack, project=project)) == neighbour


def test_a_stack_without_a_neighbour_is_reported(project: Project) -> None:
    with pytest.raises(UserError, match="No other stack of the project has the same value of 'cloud' as d"):
        find_neighbour(Rehearsal("d", project=project))


def test_the_second_stack_finds_what_the_first_has_in_the_account(project: Project) -> None:
    first, second = Rehearsal("a", project=project), Rehearsal("c", project=project)
    fill(first, [(BUCKET, "files"), (CLUSTER, "models"), (SECRET, "password")])
    share_account(first, second)
    assert read(second) == [(BUCKET, "files")]
    fill(second, [(BUCKET, "others"), (CLUSTER, "other-models"), (SECRET, "password")])
    assert list_collisions(first, second) == []


def test_a_resource_that_both_have_or_one_has_changed_is_a_collision(project: Project) -> None:
    first, second = Rehearsal("a", project=project), Rehearsal("c", project=project)
    fill(first, [(BUCKET, "files"), (CLUSTER, "models")])
    share_account(first, second)
    fill(second, [(BUCKET, "files"), (CLUSTER, "models")])
    assert list_collisions(first, second) == ["Bucket files", "Cluster models"]
