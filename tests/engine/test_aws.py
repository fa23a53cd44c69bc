"""aws-dev, rehearsed: it comes up under its policies, a second preview finds no change, and no secret lies about.

What the engine then does with it, its destruction among it, tests/soak proves on AWS, test_azure on Azure, where it is
the same engine.
"""

from __future__ import annotations

import pytest

from tests.support.project import Stack
from tests.support.rehearsed_stacks import RehearsedStacks
from tests.support.stack_contract import StackContract

pytestmark = pytest.mark.engine

AWS = "aws-dev"


@pytest.fixture(scope="module")
def stack(rehearsed_stacks: RehearsedStacks, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """aws-dev as it came up in a fresh copy of the project."""
    return rehearsed_stacks.copy(AWS, tmp_path_factory.mktemp("project"))


class TestAws(StackContract):
    """The stack as it came up."""
