"""Physical names and tags: unique where they must be, and never longer than a service allows.

Proves the naming rules only. The tests of each cloud prove that the names of its services fit.
"""

from __future__ import annotations

import re

import pytest

from infra.core.naming import Naming
from tests.support.recording import stack_context


def naming(cloud: str = "azure", environment: str = "dev", **settings: str) -> Naming:
    return stack_context(cloud, environment, **settings).naming


def test_a_regional_name_contains_organization_environment_and_suffix() -> None:
    assert naming().regional_name("cluster") == "acme-gw-dev-cluster"


def test_global_names_differ_by_organization_environment_and_location() -> None:
    names = {
        naming().global_name("data"),
        naming(organization="umbrella").global_name("data"),
        naming(environment="staging").global_name("data"),
        naming(location="northeurope").global_name("data"),
        naming("aws").global_name("data"),
    }
    assert len(names) == 5


def test_a_global_name_does_not_depend_on_tags() -> None:
    assert naming().global_name("data") == naming(owner="another").global_name("data")


def test_names_without_hyphens_consist_of_letters_and_digits() -> None:
    assert re.fullmatch(r"[a-z0-9]+", naming().global_name("data", hyphens=False))


def test_a_name_over_its_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"has 28 characters, the service allows 24"):
        naming(environment="staging", organization="umbrella").regional_name("artifact", limit=24)


def test_tags_name_owner_and_cost_center() -> None:
    tags = naming(costCenter="cc-42").tags
    assert tags["owner"] == "ml"
    assert tags["cost-center"] == "cc-42"
    assert tags["stack"] == "azure-dev"
