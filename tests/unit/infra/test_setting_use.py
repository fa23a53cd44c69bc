"""The program uses every setting.

Proves that the program of each cloud reads every setting of that cloud, directly or by a property that is computed from
it, when it declares a stack with all optional parts. Does not prove that the program uses the value correctly.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from pydantic import BaseModel

from infra.core.settings import Cloud
from infra.core.settings.catalogue import list_sections
from infra.core.settings.cost import UsageSettings
from infra.core.settings.sections import Section
from tests.support.declared_stack import declare_stack

pytestmark = pytest.mark.slow

_SETTINGS = "infra.core.settings"
# The descriptions of these settings name the other cloud as well.
_OF_THE_OTHER_CLOUD = {
    Cloud.AZURE: (
        "ResilienceSettings.nat_gateway_per_zone",
        "ResilienceSettings.private_endpoint_per_zone",
        "ResilienceSettings.secret_recovery_days",
        "Settings.account",
    ),
    Cloud.AWS: (
        "ClusterSettings.login",
        "TrainingSettings.outbound_hosts",
        "NetworkSettings.pod_cidr",
        "ResilienceSettings.control_plane_sla",
        "ResilienceSettings.experiments_backup_days",
        "ResilienceSettings.multi_zone_experiments",
        "ResilienceSettings.provisioned_throughput",
        "Settings.subscription",
        "Settings.tenant",
    ),
}
# Read by `make cost`, `make backup` and `make failover`.
_READ_ELSEWHERE = ("CostSettings.usage", "ResilienceSettings.backup_store", "ResilienceSettings.standby")


def _name_fields(section: type[BaseModel]) -> list[str]:
    return [f"{section.__name__}.{name}" for name in section.model_fields]


@contextmanager
def _record_reads() -> Iterator[set[tuple[type, str]]]:
    """Record which fields of which sections the program reads, directly or by the properties of a section."""
    reads: set[tuple[type, str]] = set()

    def read(section: Any, name: str) -> Any:
        caller = sys._getframe(1).f_globals["__name__"]
        if caller.startswith("infra.") and not caller.startswith(_SETTINGS):
            reads.add((type(section), name))
        return object.__getattribute__(section, name)

    with mock.patch.object(Section, "__getattribute__", read, create=True):
        yield reads


@pytest.mark.parametrize("cloud", Cloud)
def test_each_setting_of_a_cloud_is_read(cloud: Cloud) -> None:
    with _record_reads() as reads:
        declare_stack(f"{cloud}-full")
    every = {name for section in list_sections().values() for name in _name_fields(section)}
    unread = every - {f"{section.__name__}.{name}" for section, name in reads}
    assert unread == {*_OF_THE_OTHER_CLOUD[cloud], *_READ_ELSEWHERE, *_name_fields(UsageSettings)}
