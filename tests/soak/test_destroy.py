"""aws-dev is brought up and destroyed.

Proves of AWS what tests/engine/test_azure.py proves of Azure: nothing remains, and what controllers act on goes first.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rehearsed_stacks import RehearsedStacks
from tests.support.stack_contract import assert_destroyed

pytestmark = pytest.mark.soak


def test_destroy_deletes_all_resources_on_aws(rehearsed_stacks: RehearsedStacks, tmp_path: Path) -> None:
    assert_destroyed(rehearsed_stacks.copy("aws-dev", tmp_path), remaining=())
