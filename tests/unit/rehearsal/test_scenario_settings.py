"""The scenario settings in rehearsal.yaml, compared with the settings of the stacks that have files.

Proves that the earlier versions are supported and directly precede the present ones, that the size which is sold out is
that of every stack's pools, that stacks accept the values which scenarios set, that the exceptions of scenarios are
just those that a stack without protection needs, and that what grows is a property of the SDK. That a scenario passes
is proven by tests/soak/test_scenarios.py.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from pulumi_azure_native import dbforpostgresql

from infra.core import stack_config
from infra.core.settings import Cloud, Settings
from infra.core.settings.catalogue import list_settings
from infra.core.settings.versions import KUBERNETES
from kernel import stack_file
from policies import get_control
from rehearsal import project as projects
from rehearsal.toolchain import ROOT
from tests.support.declared_stack import declare_stack
from tests.support.stack_checks import check_policies

PROJECT = projects.find(ROOT)
SCENARIOS = PROJECT.scenarios
VERSION = "cluster.kubernetesVersion"


def read(stack: str, changes: Any) -> Settings:
    """A stack's settings with changes, keyed by path."""
    content = PROJECT.read_stack_file(stack).content
    for path, value in changes.items():
        section, *steps = path.split(".")
        place = content["config"].setdefault(f"groundwork:{section}", {})
        for name in steps[:-1]:
            place = place.setdefault(name, {})
        place[steps[-1]] = value
    text = stack_file.format_content(content)
    return stack_config.check(stack_file.parse(text.encode(), "groundwork", stack), stack)


@pytest.mark.parametrize("stack", PROJECT.stack_names)
def test_each_stack_accepts_the_settings_of_scenarios(stack: str) -> None:
    cloud = read(stack, {}).cloud.value
    for changes in (SCENARIOS.earlier[cloud], SCENARIOS.in_stock[cloud], SCENARIOS.unprotected, SCENARIOS.changed):
        settings = read(stack, changes).dump()
        for path, value in changes.items():
            found: Any = settings
            for name in path.split("."):
                found = found[name]
            assert found == value, path


@pytest.mark.parametrize("cloud", list(Cloud))
def test_the_earlier_version_is_the_one_before_the_present(cloud: Cloud) -> None:
    offer = KUBERNETES[cloud]
    offered = offer.list_offered()
    assert SCENARIOS.earlier[cloud.value] == {VERSION: offered[offered.index(offer.default) - 1]}
    assert offered.index(offer.default) > 0


@pytest.mark.parametrize("stack", PROJECT.stack_names)
def test_the_size_that_is_sold_out_is_one_that_the_stack_needs(stack: str) -> None:
    settings = read(stack, {})
    pools = settings.cluster.list_pools()
    assert {pool.size for pool in pools.values()} == {SCENARIOS.sold_out[settings.cloud.value]}
    instead = SCENARIOS.in_stock[settings.cloud.value]
    assert set(instead) == {f"cluster.{name}.size" for name in pools}
    assert SCENARIOS.sold_out[settings.cloud.value] not in instead.values()


def test_what_grows_is_a_property_that_a_setting_decides() -> None:
    assert SCENARIOS.grown == {"database.storageGb": "azure-native:dbforpostgresql:Server storage.storageSizeGB"}
    assert set(SCENARIOS.grown) <= set(list_settings())
    assert hasattr(dbforpostgresql.StorageArgs, "storage_size_gb")


@pytest.mark.slow
def test_exceptions_are_those_that_production_without_protection_needs() -> None:
    declared = declare_stack("aws-prod", settings=read("aws-prod", SCENARIOS.unprotected))
    all_violations = [line.split(": ")[:2] for line in check_policies(declared)]
    violations = [each for each in all_violations if get_control(each[0]).mandatory]
    exceptions = SCENARIOS.exceptions["aws"]
    assert [each for each in violations if not fnmatchcase(each[1], exceptions.get(each[0], ""))] == []
    assert {control for control, _ in violations} == set(exceptions)
