"""The list of types that hold data includes every type that the program itself protects or retains.

Proves it for both foundations in production. Whether a type that nothing protects holds data is for people to notice.
"""

from __future__ import annotations

import pytest

from plan_guard import find_holding
from tests.support.sample_foundations import record_foundation

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_types_that_the_program_protects_hold_data(cloud: str) -> None:
    recorder = record_foundation(cloud, "prod").recorder
    requests = recorder.requests.items()
    protected = {type_ for (type_, _), request in requests if request.protect or request.retainOnDelete}
    assert len(protected) > 3
    assert [type_ for type_ in sorted(protected) if not find_holding(type_)] == []
