"""The model lifecycle on a rehearsed stack, in its shortest form.

Proves that training, gate, registry, webhook, promotion, git, Argo CD, KServe, serving, routes, Prometheus and rollout
fit together: a good version gets all requests step by step, a bad one is rolled back, and git, the cluster and the
registry agree afterwards, which the scenario itself checks after each rollout. tests/soak runs the whole scenario as
people do, on both clouds; each part's own behaviour is proven in platform/lifecycle/tests. Simulated are the clouds,
the kubelet, the network, and the models' users.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rehearsal.scenarios.model_lifecycle import Challenger
from tests.support.model_lifecycle import (
    assert_in_order,
    list_leftover_processes,
    needs_models,
    run_command,
    run_scenario,
)
from tests.support.rehearsed_stacks import RehearsedStacks

pytestmark = pytest.mark.engine

_CHALLENGERS = (
    Challenger("pipeline"),
    Challenger("failing", is_rolled_back=True, outlier_rate=0.3),
    Challenger("failing"),  # without the requests that it cannot answer it is as good as any
)
_COMMITS = (
    "Promote breast-cancer version 1 to challenger",
    "Let breast-cancer version 1 serve alone",
    "Promote breast-cancer version 2 to challenger",
    "Give breast-cancer version 2 10 % of the requests",
    "Revert the rollout of breast-cancer version 2",
    "Promote breast-cancer version 3 to challenger",
    "Give breast-cancer version 3 10 % of the requests",
    "Give breast-cancer version 3 25 % of the requests",
    "Give breast-cancer version 3 50 % of the requests",
    "Give breast-cancer version 3 100 % of the requests",
    "Make breast-cancer version 3 the champion",
    "Let breast-cancer version 3 serve alone",
)


@needs_models
def test_a_model_is_promoted_rolled_out_and_rolled_back_by_itself(
    rehearsed_stacks: RehearsedStacks, tmp_path: Path
) -> None:
    stack = rehearsed_stacks.copy("azure-dev", tmp_path)
    run = run_scenario(stack, _CHALLENGERS)
    assert run.returncode == 0, run.stderr[-5000:]
    assert "Traceback" not in run.stderr
    assert_in_order(_COMMITS, run.stdout)
    assert re.search(r"\d+ of \d+ requests failed, of the champion's \d+ of \d+", run.stderr), (
        "the failing one, at 10 %"
    )
    assert list_leftover_processes(tmp_path) == []


def test_a_stack_that_does_not_exist_is_named_with_those_that_do() -> None:
    run = run_command("azure-nowhere")
    assert run.returncode == 1
    assert "There is no stack 'azure-nowhere'" in run.stderr
    assert "Traceback" not in run.stderr
