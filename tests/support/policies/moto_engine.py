"""The decisions of moto's IAM engine, which is installed in the environment of platform/lifecycle."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from rehearsal.toolchain import ROOT

_PYTHON: Final = ROOT / "platform" / "lifecycle" / ".venv" / "bin" / "python"
_SECONDS: Final = 300.0  # for a busy machine
# Reads [[<policy>, <action>, <resource>, <context>], ...], and writes "PERMITTED", "DENIED" or "NEUTRAL" for each.
_SCRIPT: Final = """
import json, sys
from moto.iam.access_control import IAMPolicy
decide = lambda policy, action, arn, context: IAMPolicy(policy).is_action_permitted(action, arn, None, context)
json.dump([decide(*each).name for each in json.load(sys.stdin)], sys.stdout)
"""


@dataclass(frozen=True)
class Question:
    """Statements and a request for them to decide; `context` has the request's values of condition keys."""

    statements: Sequence[Mapping[str, Any]]
    action: str = "s3:GetObject"
    resource: str = "arn:aws:s3:::models/a"
    context: Mapping[str, str] = field(default_factory=dict)


def ask_moto(questions: Sequence[Question]) -> list[str]:
    """PERMITTED, DENIED or NEUTRAL for each question. Skips the test if moto is not installed."""
    if not _PYTHON.exists():
        pytest.skip("moto is not installed: platform/lifecycle has no virtual environment")
    requests = [
        [json.dumps({"Statement": list(each.statements)}), each.action, each.resource, dict(each.context)]
        for each in questions
    ]
    reply = subprocess.run(
        [_PYTHON, "-c", _SCRIPT],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert reply.returncode == 0, reply.stderr
    answers: list[str] = json.loads(reply.stdout)
    return answers
