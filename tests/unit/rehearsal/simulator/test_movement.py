"""Changes in a cloud between two deployments: what each actor changes, and what the next deployment does.

Proves that after each actor a refresh and a plan of the foundations replace, delete, shrink and set back nothing, in a
standard stack of each cloud. Plans that are refused are listed here, with the message. Not proven: that the clouds
behave like the actors. Not covered: controllers in the cluster, because the foundations do not have their objects.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import cache, partial
from typing import Any

import pytest

from infra import aws, azure
from kernel.support_calendars import CHECKED
from rehearsal.movement_harm import PlannedStep, find_harm, read_steps
from rehearsal.simulator.aws.movement import ACTORS as AWS_ACTORS
from rehearsal.simulator.azure.movement import ACTORS as AZURE_ACTORS
from rehearsal.simulator.clouds import list_actors, move_clouds
from tests.support.moved_cloud import PlanningRecorder
from tests.support.recording import record_program, stack_context

_FOUNDATIONS = {"aws": aws, "azure": azure}
# Actors that change nothing in these stacks: all versions are still supported.
_IDLE = {("aws", "end-of-support"), ("azure", "end-of-support")}
# Actors after which the next deployment is refused until the settings are adapted, and the message.
_REFUSED = {("azure", "growth"): "storage size cannot be reduced"}


@cache
def deploy(cloud: str) -> tuple[PlanningRecorder, Any]:
    """A deployed foundation, and its program."""
    context = stack_context(cloud, "prod")
    program = partial(_FOUNDATIONS[cloud].create_foundation, context)
    recorder = PlanningRecorder()
    record_program(program, f"{cloud}-prod", recorder)
    return recorder, program


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cloud", "actor"),
    [*(("aws", actor) for actor in AWS_ACTORS), *(("azure", actor) for actor in AZURE_ACTORS)],
)
def test_the_next_deployment_after_a_move_harms_nothing(cloud: str, actor: str) -> None:
    recorder, program = deploy(cloud)
    with recorder.moving() as state:
        lines = move_clouds(state, actor, CHECKED)
        assert bool(lines) is ((cloud, actor) not in _IDLE)
        recorder.refresh()
        record_program(program, f"{cloud}-prod", recorder)
    expected = _REFUSED.get((cloud, actor), "")
    assert re.search(expected, "; ".join(recorder.refusals)) if expected else recorder.refusals == []
    if not expected:
        assert [line for step in recorder.steps for line in find_harm(step)] == []


@pytest.mark.slow
def test_a_rotation_of_keys_needs_no_deployment() -> None:
    """Each service follows it: none names a version that the next deployment would have to replace."""
    recorder, program = deploy("azure")
    with recorder.moving() as state:
        assert move_clouds(state, "rotation", CHECKED)
        recorder.refresh()
        record_program(program, "azure-prod", recorder)
    assert recorder.steps == []


@pytest.mark.slow
def test_each_change_is_reported() -> None:
    recorder, _ = deploy("aws")
    with recorder.moving() as state:
        lines = move_clouds(state, "autoscaler", CHECKED)
        assert move_clouds(state, "autoscaler", CHECKED) == [], "nothing more to scale"
    assert any(re.search(r"\(NodeGroup\): scalingConfig\.desiredSize from \d to \d", line) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cloud", "today", "path"),
    [("aws", date(2028, 3, 1), "version"), ("azure", date(2027, 7, 15), "kubernetesVersion")],
)
def test_a_cluster_past_its_support_is_upgraded(cloud: str, today: date, path: str) -> None:
    recorder, _ = deploy(cloud)
    with recorder.moving() as state:
        (cluster,) = [each for each in state.all() if each.type.endswith((":Cluster", ":ManagedCluster"))]
        state.put(replace(cluster, inputs={**cluster.inputs, path: "1.34"}))
        lines = move_clouds(state, "end-of-support", today)
    assert len(lines) == 1
    assert re.search(rf"{path} from .* to 1\.3[5-7]$", lines[0])


def test_every_actor_can_be_chosen_by_name() -> None:
    assert list_actors() == sorted({*AWS_ACTORS, *AZURE_ACTORS})


@pytest.mark.parametrize(
    ("step", "harm"),
    [
        (PlannedStep("replace", "a:b:Database", "db"), ["the next deployment would replace it"]),
        (PlannedStep("delete-replaced", "a:b:Database", "db"), ["would delete replaced it"]),
        (PlannedStep("update", "a:b:C", "x", {"n": {"count": 7}}, {"n": {"count": 2}}, ["n.count"]), ["shrink from 7"]),
        (PlannedStep("update", "a:b:C", "x", {"n": {"count": 7}}, {"n": {"count": 2}}, ["n"]), ["shrink from 7"]),
        (PlannedStep("update", "a:b:C", "x", {"p": [{"n": 3}]}, {"p": [{"n": 1}]}, ["p"]), [r"p\[0\].n would shrink"]),
        (
            PlannedStep("update", "a:b:C", "x", {"version": "1.37"}, {"version": "1.36"}, ["version"]),
            ["version would go back from 1.37 to 1.36"],
        ),
        (PlannedStep("update", "a:b:C", "x", {"n": 2}, {"n": 7}, ["n"]), []),
        (PlannedStep("update", "a:b:C", "x", {"open": True}, {"open": False}, ["open"]), []),
        (PlannedStep("create", "a:b:C", "x"), []),
    ],
)
def test_harm_is_what_shrinks_goes_back_or_is_deleted(step: PlannedStep, harm: list[str]) -> None:
    found = list(find_harm(step))
    assert len(found) == len(harm)
    assert all(re.search(expected, line) for expected, line in zip(harm, found, strict=True))


def test_steps_are_read_from_the_engines_events() -> None:
    metadata = {
        "op": "update",
        "urn": "urn:pulumi:s::p::aws:eks/nodeGroup:NodeGroup::pool",
        "type": "aws:eks/nodeGroup:NodeGroup",
        "old": {"inputs": {"scalingConfig": {"desiredSize": 6}}},
        "new": {"inputs": {"scalingConfig": {"desiredSize": 2}}},
        "detailedDiff": {"scalingConfig.desiredSize": {"diffKind": "update"}},
    }
    unchanged = {**metadata, "op": "same"}
    events = [{"resourcePreEvent": {"metadata": each}} for each in (metadata, unchanged)] + [{"summaryEvent": {}}]
    (step,) = read_steps(iter(events))
    assert list(find_harm(step)) == ["pool (NodeGroup): scalingConfig.desiredSize would shrink from 6 to 2"]
