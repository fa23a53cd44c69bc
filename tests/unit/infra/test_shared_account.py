"""Two stacks of a cloud in one account: the foundation of the second comes up beside that of the first.

Proves that no name of theirs is the same where the cloud has one of each, and that the second one changes nothing of
the first. The scenario `two-stacks-in-one-account` of tests/soak has whole stacks and the engine.
"""

from __future__ import annotations

import importlib

import pytest

from rehearsal.simulator.core.circumstances import USUAL
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from tests.support.recording import Recorder, record_program, stack_context

pytestmark = pytest.mark.slow


def deploy(cloud: str, environment: str, state: StateStore) -> dict[tuple[str, str], ResourceRecord]:
    create = importlib.import_module(f"infra.{cloud}").create_foundation
    stack = f"{cloud}-{environment}"
    recorder = Recorder(USUAL, state, stack)
    record_program(lambda: create(stack_context(cloud, environment)), stack, recorder)
    return {(each.type, each.id): each for each in state.all()}


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_the_second_stack_leaves_the_first_alone(cloud: str) -> None:
    state = StateStore(":memory:")
    first = deploy(cloud, "dev", state)
    second = deploy(cloud, "prod", state)
    assert len(second) > len(first) + 100
    assert [key for key, record in first.items() if second[key] != record] == []
