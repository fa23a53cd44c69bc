"""What cannot be scaled, and why; tests/engine/test_operations.py proves what can."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from deploy.errors import DeployError
from deploy.programs import Answer
from deploy.stack import read_stack
from operations import scaling
from operations.target import STACKS, Target

DEPLOYMENT: dict[str, Any] = {"kind": "Deployment", "metadata": {}, "spec": {"replicas": 1}}


@dataclasses.dataclass(frozen=True)
class StandIn(Target):
    """A cluster with one Deployment, and autoscalers of the Deployments that `scaled` names."""

    deployment: dict[str, Any] = dataclasses.field(default_factory=lambda: DEPLOYMENT)
    scaled: tuple[str, ...] = ()
    commands: list[str] = dataclasses.field(default_factory=list)

    def ask(self, program: str, *arguments: str, text: str | None = None, **variables: str) -> Answer:  # noqa: ARG002
        self.commands.append(" ".join((program, *arguments)))
        if "horizontalpodautoscalers.autoscaling" in arguments:
            items = [
                {"metadata": {"namespace": "serving"}, "spec": {"scaleTargetRef": {"name": n}}} for n in self.scaled
            ]
            return Answer(0, json.dumps({"items": items}), "")
        return Answer(0, json.dumps(self.deployment), "")


def stand_in(**more: Any) -> StandIn:
    return StandIn(read_stack("aws-dev", STACKS), {}, is_rehearsed=True, **more)


@pytest.mark.parametrize(
    ("target", "workload", "replicas", "problem"),
    [
        (stand_in(), "mlflow", 2, "WORKLOAD=mlflow is not of the form <namespace>/<name>"),
        (stand_in(), "mlflow/mlflow", 51, "REPLICAS=51 is not a number of replicas from 0 to 50"),
        (
            stand_in(scaled=("churn",)),
            "serving/churn",
            2,
            "is scaled by a HorizontalPodAutoscaler, which would undo it",
        ),
        (
            stand_in(deployment={**DEPLOYMENT, "metadata": {"ownerReferences": [{"kind": "Prometheus", "name": "p"}]}}),
            "monitoring/p",
            2,
            "belongs to the Prometheus p, whose controller would undo it",
        ),
    ],
)
def test_a_workload_that_cannot_be_scaled_is_rejected(
    target: StandIn, workload: str, replicas: int, problem: str
) -> None:
    with pytest.raises(DeployError, match=problem):
        scaling.scale_workload(target, workload, replicas)
    assert not any(" scale " in command for command in target.commands)


@pytest.mark.parametrize(
    ("pool", "minimum", "maximum", "problem"),
    [
        ("spot", 1, 2, "POOL=spot is not one of system, user, gpu"),
        ("user", None, None, "Neither MINIMUM nor MAXIMUM is set"),
        ("gpu", None, 4, "has no GPU pool"),
        ("gpu", 1, 4, "The minimum of the GPU pool is always 0 nodes"),
        ("user", 12, None, "12 to 10 nodes is not a valid range"),
        ("user", None, 101, "2 to 101 nodes is not a valid range"),
    ],
)
def test_invalid_bounds_are_rejected(pool: str, minimum: int | None, maximum: int | None, problem: str) -> None:
    target = stand_in()
    with pytest.raises(DeployError, match=problem):
        scaling.scale_pool(target, pool, minimum, maximum)
    assert target.commands == []


def test_bounds_are_written_to_the_settings() -> None:
    target = stand_in()
    assert "`make up STACK=aws-dev` applies it" in scaling.scale_pool(target, "user", None, 12)
    (command,) = target.commands
    assert "config set --path groundwork:cluster.userPool.maximum 12 --type int --stack aws-dev" in command
