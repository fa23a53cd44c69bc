"""The list of types that hold data has what the program itself protects or retains.

Proves it of both foundations in production. That a type which nobody protects holds data is for people to notice.
"""

from __future__ import annotations

import pytest

from plan_guard import find_holding
from tests.support.sample_foundations import record_foundation

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_what_the_program_keeps_holds_data(cloud: str) -> None:
    recorder = record_foundation(cloud, "prod").recorder
    kept = {type_ for (type_, _), request in recorder.requests.items() if request.protect or request.retainOnDelete}
    assert len(kept) > 3
    assert [type_ for type_ in sorted(kept) if not find_holding(type_)] == []
