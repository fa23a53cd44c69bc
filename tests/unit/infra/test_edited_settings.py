"""An edited setting of a stack changes the resources that it concerns, and no others; another size replaces a pool.

Proves it from what the program declares before and after, and from how the simulated clouds respond to the difference.
tests/engine proves for azure-dev that the engine plans the same, tests/soak for aws-dev.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra import aws, azure, cluster
from infra.core import stack_config
from infra.core.component import StackContext
from infra.core.naming import Naming
from kernel import stack_file
from rehearsal import project
from rehearsal.simulator.core.errors import CloudError
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, record_program

pytestmark = pytest.mark.slow

_SECTION = "groundwork:cluster:"


def read_context(stack: str, user_pool: str = "") -> StackContext:
    """The context of a stack; `user_pool` is what its file has in addition."""
    text = project.current().stack_file(stack).read_text()
    assert _SECTION in text
    if user_pool:
        text = text.replace(_SECTION, f"{_SECTION}\n    userPool: {user_pool}")
    settings = stack_config.check(stack_file.parse(text.encode(), "groundwork", stack), stack)
    return StackContext(settings, Naming(settings, stack))


def deploy(
    create: Callable[[StackContext], object], context: StackContext, recorder: Recorder | None = None
) -> tuple[Recorder, dict[tuple[str, str], Any]]:
    """Deploy a part of the program, or deploy it again; returns the inputs of its resources, by type and name."""
    recorder, _ = record_program(lambda: create(context), context.naming.stack, recorder)
    return recorder, {(each.type, each.name): each.inputs for each in recorder.resources}


def create_platform(context: StackContext) -> None:
    cluster.create_platform(context, sample_foundation())


@pytest.mark.parametrize(
    ("create", "changed"),
    [
        (aws.create_foundation, {"cluster-user"}),
        (create_platform, {"karpenter-nodepool-user", "karpenter-nodepool-spot", "alerts-stack"}),
    ],
    ids=["foundation", "platform"],
)
def test_another_maximum_changes_only_the_resources_that_it_concerns(
    create: Callable[[StackContext], object], changed: set[str]
) -> None:
    recorder, before = deploy(create, read_context("aws-dev"))
    _, after = deploy(create, read_context("aws-dev", "{maximum: 12}"), recorder)
    assert before.keys() == after.keys()
    assert {name for type_, name in after if before[type_, name] != after[type_, name]} == changed


def test_another_size_replaces_the_user_pool_on_azure() -> None:
    recorder, _ = deploy(azure.create_foundation, read_context("azure-dev"))
    with pytest.raises(CloudError, match=r"AgentPool::cluster-user would be replaced: vmSize changed"):
        deploy(azure.create_foundation, read_context("azure-dev", "{size: Standard_D8s_v5}"), recorder)
