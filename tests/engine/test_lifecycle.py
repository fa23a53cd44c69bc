"""The model lifecycle on a rehearsed stack, in its shortest form.

Proves that gate, registry, webhook, promotion, git, Argo CD, KServe, serving, routes, the router of experiments with
its writer, the job that decides, Prometheus and rollout work together: a version that an experiment finds better gets
all requests step by step, a bad one is rolled back by guardrails, and git, the cluster and the registry agree
afterwards, which the scenario itself checks after each rollout. tests/soak runs the whole scenario as people do, on
both clouds, with the pipeline, a version that an experiment stops, drift, and retraining. The behaviour of each part is
tested in platform/lifecycle/tests. The clouds, the kubelet, the network and the models' users are simulated.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rehearsal.scenarios.experiment_stage import PROMOTE, ExperimentStage
from rehearsal.scenarios.model_steps import Traffic
from rehearsal.scenarios.rollout_stage import RolloutStage
from tests.support.model_lifecycle import (
    FIRST_COMMITS,
    assert_in_order,
    list_leftover_processes,
    needs_models,
    run_command,
    run_scenario,
)
from tests.support.rehearsed_stacks import RehearsedStacks

pytestmark = pytest.mark.engine

_STAGES = (
    RolloutStage("sound"),
    ExperimentStage("second-camera", "two-cameras", PROMOTE),
    RolloutStage("failing", "two-cameras", is_rolled_back=True, traffic=Traffic("two-cameras", outlier_rate=0.3)),
)
_COMMITS = (
    *FIRST_COMMITS,
    "Promote breast-cancer version 3 to challenger",
    "Give breast-cancer version 3 10 % of the requests",
    "Revert the rollout of breast-cancer version 3",
)


@needs_models
def test_models_are_rolled_out_by_an_experiments_verdict_and_rolled_back_by_guardrails(
    rehearsed_stacks: RehearsedStacks, tmp_path: Path
) -> None:
    stack = rehearsed_stacks.copy("azure-dev", tmp_path)
    run = run_scenario(stack, _STAGES)
    assert run.returncode == 0, run.stderr[-5000:]
    assert "Traceback" not in run.stderr
    assert_in_order(_COMMITS, run.stdout)
    assert "  promote: The challenger is better: correct differs by +0." in run.stderr
    assert re.search(r"\d+ of \d+ requests failed, of the champion's \d+ of \d+", run.stderr), (
        "the failing one, at 10 %"
    )
    assert list_leftover_processes(tmp_path) == []


def test_the_error_of_an_unknown_stack_names_the_existing_ones() -> None:
    run = run_command("azure-nowhere")
    assert run.returncode == 1
    assert "There is no stack 'azure-nowhere'" in run.stderr
    assert "Traceback" not in run.stderr
