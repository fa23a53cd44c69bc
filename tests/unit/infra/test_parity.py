"""Parity of the clouds: each module exists on both, or has a reason why it does not."""

from __future__ import annotations

import pytest

from infra.parity import ONE_SIDED, list_capabilities

pytestmark = pytest.mark.usefixtures("without_collector")


def test_a_module_of_one_cloud_has_a_reason() -> None:
    one_sided = {each.module for each in list_capabilities() if len(each.clouds) == 1}
    assert one_sided == set(ONE_SIDED)


def test_types_are_those_that_the_modules_create() -> None:
    by_module = {each.module: each for each in list_capabilities()}
    assert "ec2.Vpc" in by_module["network"].types["aws"]
    assert "network.VirtualNetwork" in by_module["network"].types["azure"]
    assert by_module["registry"].types["aws"] == ("ecr.LifecyclePolicy", "ecr.Repository")
    names = [name for each in by_module.values() for types in each.types.values() for name in types]
    assert not [name for name in names if name.endswith("Args")]
