"""The whole model lifecycle scenario on both clouds, with the command that people use.

Proves what tests/engine/test_lifecycle.py does, with a first version from the pipeline; that an experiment stops a
worse challenger before it gets requests of the route; that no drift is found in the usual requests but in others, which
starts a training run whose version serves within five minutes and is right more often; that a version that responds too
slowly is rolled back because of Prometheus' measurements; and that all this holds on either cloud. The scenario's own
checks of each stage are in rehearsal/scenarios.
"""

from __future__ import annotations

import re

import pytest

from rehearsal.toolchain import ROOT
from tests.support.model_lifecycle import (
    FIRST_COMMITS,
    assert_in_order,
    list_leftover_processes,
    needs_models,
    run_command,
)

pytestmark = pytest.mark.soak

_COMMITS = (
    *FIRST_COMMITS,
    "Compare challengers: old-data",
    "Promote breast-cancer version 3 to challenger",
    "Revert the rollout of breast-cancer version 3",
    "Promote breast-cancer version 4 to challenger",
    "Give breast-cancer version 4 100 % of the requests",
    "Make breast-cancer version 4 the champion",
    "Let breast-cancer version 4 serve alone",
    "Promote breast-cancer version 5 to challenger",
    "Give breast-cancer version 5 10 % of the requests",
    "Revert the rollout of breast-cancer version 5",
    "Promote breast-cancer version 6 to challenger",
    "Give breast-cancer version 6 10 % of the requests",
    "Revert the rollout of breast-cancer version 6",
)


@needs_models
@pytest.mark.parametrize("stack", ["azure-dev", "aws-dev"])
def test_models_are_promoted_and_rolled_back_automatically(stack: str) -> None:
    run = run_command(stack)
    assert run.returncode == 0, run.stderr[-5000:]
    assert "Traceback" not in run.stderr
    assert_in_order(_COMMITS, run.stdout)
    assert "Give breast-cancer version 3 " not in run.stdout, "it got requests only through the experiment"
    assert "  promote: The challenger is better: correct differs by +0." in run.stderr
    assert "  stop: The challenger is worse: correct differs by -0." in run.stderr
    assert re.search(r"  no drift in \d+ rows of version 2; drifted: none", run.stderr)
    assert re.search(r"  drift in \d+ rows of version 2; drifted: input ", run.stderr)
    assert re.search(r"In all, from a detectable change until version 4 serves", run.stdout)
    assert re.search(r"\d+ of \d+ responses took longer than 5 s", run.stderr), "the slow one, at 10 %"
    assert re.search(r"\d+ of \d+ requests failed, of the champion's \d+ of \d+", run.stderr), "the failing one"
    assert list_leftover_processes(ROOT / ".groundwork" / "rehearsals" / f"{stack}-lifecycle") == []
