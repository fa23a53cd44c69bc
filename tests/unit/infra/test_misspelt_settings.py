"""A misspelt setting is reported as one fault, without the faults that follow from the setting's absence.

Proves it for each setting of a stack that sets nearly all of them together, on both clouds. Not for names that differ
so much from every setting that the intended one cannot be recognized: their consequences are reported as well.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from infra.core.settings import Cloud
from infra.core.settings.catalogue import find_example, list_settings
from infra.core.stack_config import check
from kernel import stack_file
from tests.support.every_case import check_every

# Settings that cannot be set beside the others.
_LEFT_OUT = {
    Cloud.AZURE: ("account", "cluster.authorizedRanges"),
    Cloud.AWS: ("subscription", "tenant", "cluster.authorizedRanges", "training.outboundHosts"),
}
_OTHER_VALUES = {"gateway.issuer": "acme", "gateway.domain": "ml.example.org"}


def build_content(cloud: Cloud, misspelt: str = "") -> dict[str, Any]:
    """The settings of a file that sets all, one of them without its last letter."""
    content: dict[str, Any] = {}
    for setting in list_settings():
        if setting not in _LEFT_OUT[cloud]:
            *sections, name = setting.split(".")
            section = content
            for part in sections:
                section = section.setdefault(part, {})
            section[name[:-1] if setting == misspelt else name] = _OTHER_VALUES.get(
                setting, find_example(setting, cloud)
            )
    return content


def list_faults(content: dict[str, Any]) -> list[str]:
    text = stack_file.format_content({"config": content})
    try:
        check(stack_file.parse(text.encode(), "groundwork", "stacks/Pulumi.test.yaml"), "test")
    except ValueError as error:
        return [line for line in str(error).splitlines() if line.startswith("  - ")]
    return []


@pytest.mark.parametrize("cloud", Cloud)
def test_all_settings_can_be_set_together(cloud: Cloud) -> None:
    assert list_faults(build_content(cloud)) == []


@pytest.mark.slow
def test_a_misspelt_setting_is_the_only_fault() -> None:
    check_every(product(list_settings(), Cloud), _check_misspelt)


def _check_misspelt(case: tuple[str, Cloud]) -> None:
    setting, cloud = case
    if setting in _LEFT_OUT[cloud]:
        return
    (fault,) = list_faults(build_content(cloud, setting))
    assert fault.startswith(f"  - groundwork:{setting[:-1]} (line ")
    assert fault.endswith("is not a setting.")
