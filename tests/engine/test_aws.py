"""aws-dev, rehearsed: proves of it what test_azure proves of azure-dev.

That it can be destroyed, tests/soak proves; test_deployment destroys a stack on AWS too, without a control plane.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.project import Stack
from tests.support.rehearsed_stacks import RehearsedStacks
from tests.support.stack_contract import StackContract

pytestmark = pytest.mark.engine

AWS = "aws-dev"


@pytest.fixture(scope="module")
def stack(rehearsed_stacks: RehearsedStacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """aws-dev as it came up in a fresh copy of the project."""
    copy = rehearsed_stacks.copy(AWS, tmp_path_factory.mktemp("project"))
    yield copy
    copy.stop_serving()


class TestAws(StackContract):
    POLICY_BREAK = (
        "infra/aws/registry.py",
        'image_tag_mutability="IMMUTABLE"',
        'image_tag_mutability="MUTABLE"',
        "aws-ecr-immutable-tags",
    )
    CHANGED_BY_MAXIMUM = ("cluster-user", "karpenter-nodepool-user", "karpenter-nodepool-spot", "alerts-stack")
