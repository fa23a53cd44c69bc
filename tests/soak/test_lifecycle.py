"""The whole model lifecycle scenario on both clouds, by the command that people use.

Proves what tests/engine/test_lifecycle.py does, and that a trained version replaces a champion, that one which answers
users too slowly is rolled back by what Prometheus has of their requests, and that all this holds on either cloud.
"""

from __future__ import annotations

import re

import pytest

from rehearsal.toolchain import ROOT
from tests.support.model_lifecycle import assert_in_order, list_leftover_processes, needs_models, run_command

pytestmark = pytest.mark.soak

_COMMITS = (
    "Promote breast-cancer version 1 to challenger",
    "Let breast-cancer version 1 serve alone",
    "Promote breast-cancer version 2 to challenger",
    "Give breast-cancer version 2 10 % of the requests",
    "Give breast-cancer version 2 25 % of the requests",
    "Give breast-cancer version 2 50 % of the requests",
    "Give breast-cancer version 2 100 % of the requests",
    "Make breast-cancer version 2 the champion",
    "Let breast-cancer version 2 serve alone",
    "Promote breast-cancer version 3 to challenger",
    "Give breast-cancer version 3 10 % of the requests",
    "Revert the rollout of breast-cancer version 3",
    "Promote breast-cancer version 4 to challenger",
    "Give breast-cancer version 4 10 % of the requests",
    "Revert the rollout of breast-cancer version 4",
)


@needs_models
@pytest.mark.parametrize("stack", ["azure-dev", "aws-dev"])
def test_models_are_promoted_rolled_out_and_rolled_back_by_themselves(stack: str) -> None:
    run = run_command(stack)
    assert run.returncode == 0, run.stderr[-5000:]
    assert "Traceback" not in run.stderr
    assert_in_order(_COMMITS, run.stdout)
    assert re.search(r"\d+ of \d+ responses took longer than 5 s", run.stderr), "the slow one, at 10 %"
    assert re.search(r"\d+ of \d+ requests failed, of the champion's \d+ of \d+", run.stderr), "the failing one"
    assert list_leftover_processes(ROOT / ".groundwork" / "rehearsals" / f"{stack}-lifecycle") == []
