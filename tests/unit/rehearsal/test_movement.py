"""`make rehearse-move`: an invalid request is one message, before anything starts.

tests/unit/rehearsal/simulator/test_movement.py proves what actors do. Not proven: the engine's part.
"""

from __future__ import annotations

from argparse import Namespace

import pytest

from rehearsal import movement
from rehearsal.console import UserError
from rehearsal.session import Rehearsal


def test_an_unknown_actor_is_one_message() -> None:
    with pytest.raises(UserError, match=r"ACTOR='autoscalr' is unknown\. Did you mean autoscaler\? Use one of autosc"):
        movement.move(Namespace(stack="aws-dev", actor="autoscalr", purpose="", port=0))


def test_a_missing_actor_is_one_message() -> None:
    with pytest.raises(UserError, match=r"ACTOR='' is unknown\. Use one of autoscaler, end-of-support, failover"):
        movement.move(Namespace(stack="aws-dev", actor="", purpose="", port=0))


def test_nothing_moves_if_nothing_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rehearsal, "read_resources", lambda _: [])
    with pytest.raises(UserError, match="Nothing of aws-dev is deployed: `make rehearse STACK=aws-dev` brings it up"):
        movement.move(Namespace(stack="aws-dev", actor="autoscaler", purpose="", port=0))
