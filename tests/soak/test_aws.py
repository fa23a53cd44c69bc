"""aws-dev, rehearsed, changed and destroyed.

Proves for it what tests/engine/test_azure.py proves for azure-dev: an edit changes only what it should, a policy
violation stops a preview, a destroy leaves nothing, and objects are deleted before their controllers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.project import Stack
from tests.support.rehearsed_stacks import RehearsedStacks
from tests.support.stack_contract import ServedStackContract, assert_destroyed, assert_no_secret_in_plain_text

pytestmark = pytest.mark.soak

AWS = "aws-dev"


@pytest.fixture(scope="module")
def stack(rehearsed_stacks: RehearsedStacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """aws-dev as it was brought up in a fresh copy of the project."""
    copy = rehearsed_stacks.copy(AWS, tmp_path_factory.mktemp("project"))
    yield copy
    copy.stop_serving()


class TestAws(ServedStackContract):
    POLICY_BREAK = (
        "infra/aws/registry.py",
        'image_tag_mutability="IMMUTABLE"',
        'image_tag_mutability="MUTABLE"',
        "aws-ecr-immutable-tags",
    )
    CHANGED_BY_MAXIMUM = ("cluster-user", "karpenter-nodepool-user", "karpenter-nodepool-spot", "alerts-stack")


def test_no_operation_has_left_a_secret_in_plain_text(stack: Stack) -> None:
    assert_no_secret_in_plain_text(stack)


def test_destroy_deletes_all_resources(stack: Stack) -> None:
    assert_destroyed(stack, remaining=())
