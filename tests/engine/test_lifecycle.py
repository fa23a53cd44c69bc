"""A model's whole life on a rehearsed stack, by the command that people use.

Proves that training, gate, registry, webhook, promotion, git, Argo CD, KServe, serving, routes, Prometheus and rollout
fit together: good versions get all requests step by step, bad ones are taken back by themselves, and git, the cluster
and the registry agree afterwards, which the command itself checks after each rollout. Each part's own behaviour is
proven in platform/lifecycle/tests. Simulated are the clouds, the kubelet, the network, and the models' users.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rehearsal.helm import charts
from rehearsal.scenarios.processes import PYTHON
from rehearsal.toolchain import ROOT

pytestmark = pytest.mark.engine

_STACK = "azure-dev"
_TIMEOUT = 1800  # seconds; it takes about six minutes on two cores that do nothing else
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
    "Revert the rollout of breast-cancer version 3",
    "Promote breast-cancer version 4 to challenger",
    "Give breast-cancer version 4 10 % of the requests",
    "Revert the rollout of breast-cancer version 4",
)


def test_a_model_is_promoted_rolled_out_and_rolled_back_by_itself() -> None:
    if not PYTHON.exists():
        pytest.skip("platform/lifecycle has no environment: `make test-lifecycle` makes it")
    if not os.environ.get(charts.FOLDER_VARIABLE):
        pytest.skip(f"{charts.FOLDER_VARIABLE} names no folder of charts")

    run = _lifecycle(_STACK)

    assert run.returncode == 0, run.stderr[-5000:]
    assert "Traceback" not in run.stderr
    commits = re.findall(r"^  [0-9a-f]{7,} [^:]+: (.*)$", run.stdout, re.MULTILINE)
    assert _in_order(_COMMITS, commits), commits
    assert "- a test prediction got no answer within 1 s" in run.stderr, "the slow one, before any request"
    assert re.search(r"- error rate is 0\.\d+, more than 0\.05", run.stderr), "the failing one, at 10 %"
    assert not _left_running()


def test_a_stack_that_does_not_exist_is_named_with_those_that_do() -> None:
    run = _lifecycle("azure-nowhere")
    assert run.returncode == 1
    assert "There is no stack 'azure-nowhere'" in run.stderr
    assert "Traceback" not in run.stderr


def _lifecycle(stack: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", "lifecycle", stack],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT,
    )


def _in_order(wanted: Sequence[str], found: Sequence[str]) -> bool:
    rest = iter(found)
    return all(each in rest for each in wanted)


def _left_running() -> list[str]:
    folder = str(ROOT / ".groundwork" / "rehearsals" / f"{_STACK}-lifecycle")
    commands = [path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [command.replace("\0", " ") for command in commands if folder in command]
