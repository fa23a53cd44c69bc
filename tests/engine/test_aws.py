"""aws-dev, rehearsed: it passes its policies, a second preview finds no change, and no secret is in plain text.

Further operations of the engine, such as its destruction, are tested in tests/soak on AWS, and in test_azure with the
same engine on Azure.
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
    """aws-dev as it was brought up in a fresh copy of the project."""
    return rehearsed_stacks.copy(AWS, tmp_path_factory.mktemp("project"))


class TestAws(StackContract):
    """Tests of the stack as it was brought up."""
