"""Controls that exempt resources of disposable environments, by the tag `environment`.

Proves that a violating resource passes such a control in the environments of the setting and in no others, and that the
setting can be empty. Does not prove that a resource is in the environment that its tag names.
"""

from __future__ import annotations

import pytest

from policies import Control, controls
from tests.support.policies.cases import Declared
from tests.unit.policies.controls.test_controls import find_cases

EXEMPTING = [each for each in controls() if "exemptEnvironments" in each.settings]


def list_violating(control: Control) -> list[Declared]:
    return [subject[0] for subject in find_cases(control).violating]


def test_several_controls_exempt_environments() -> None:
    assert len(EXEMPTING) >= 9


@pytest.mark.parametrize("control", EXEMPTING, ids=lambda control: control.id)
def test_the_tag_decides(control: Control) -> None:
    for resource in list_violating(control):
        for tags, passes in (
            ({"environment": "dev"}, True),
            ({"Environment": "staging", "owner": "web"}, True),
            ({"environment": "prod"}, False),
            ({"stage": "dev"}, False),
            ("dev", False),
        ):
            assert (control.evaluate({**resource.props, "tags": tags}) == []) is passes, tags


@pytest.mark.parametrize("control", EXEMPTING, ids=lambda control: control.id)
def test_the_setting_can_be_empty(control: Control) -> None:
    for resource in list_violating(control):
        assert control.evaluate({**resource.props, "tags": {"environment": "dev"}}, {"exemptEnvironments": []})
