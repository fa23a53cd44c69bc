"""Two stacks of a cloud in one account: the second foundation can be deployed beside the first one.

Proves that they share no name that has to be unique, that the second one changes nothing of the first, and that no
check of a rehearsal mistakes resources of the first one for the second's. The scenario `two-stacks-in-one-account` of
tests/soak covers whole stacks and the engine.
"""

from __future__ import annotations

import importlib

import pytest

from rehearsal.shared_account import copy_account
from rehearsal.simulator.core.circumstances import USUAL
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from tests.support.declared_stack import DeclaredStack, declare_stack, describe_circumstances, read_settings
from tests.support.recording import Recorder, record_program, stack_context
from tests.support.stack_checks import CHECKS

pytestmark = pytest.mark.slow


def deploy(cloud: str, environment: str, state: StateStore) -> dict[tuple[str, str], ResourceRecord]:
    create = importlib.import_module(f"infra.{cloud}").create_foundation
    stack = f"{cloud}-{environment}"
    recorder = Recorder(USUAL, state, stack)
    record_program(lambda: create(stack_context(cloud, environment)), stack, recorder)
    return {(each.type, each.id): each for each in state.all()}


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_the_second_stack_does_not_change_the_first(cloud: str) -> None:
    state = StateStore(":memory:")
    first = deploy(cloud, "dev", state)
    second = deploy(cloud, "prod", state)
    assert len(second) > len(first) + 100
    assert [key for key, record in first.items() if second[key] != record] == []


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_resources_of_the_first_stack_are_not_mistaken_for_the_seconds(cloud: str) -> None:
    first, state = declare_stack(f"{cloud}-dev"), StateStore(":memory:")
    copy_account(first.recorder.state, state)
    stack = f"{cloud}-staging"
    beside, alone = (
        Recorder(describe_circumstances(read_settings(stack)), account, stack) for account in (state, None)
    )
    assert find_problems(declare_stack(stack, beside)) == find_problems(declare_stack(stack, alone))


def find_problems(stack: DeclaredStack) -> dict[str, list[str]]:
    """The findings of a rehearsal about the cluster and its connections; charts are not rendered and so not covered."""
    return {name: sorted(CHECKS[name](stack)) for name in ("cluster", "access", "wiring")}
