"""The project's six stacks, declared without an engine: how much of them is priced, and how long they take.

Proves coverage, and that a deployment can be as fast as its critical path. Charts, which a preview renders, are left
out. Not proven: that a cloud bills what an estimate says, or creates a resource as fast as its duration.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from estimates import Estimate, Resource, critical_path, find_makespan, load_durations, load_prices, monthly_cost
from tests.support.cost_page import PAGE, render_figures, split_page
from tests.support.stack_resources import STACKS, read_cost_settings, record_stack

pytestmark = pytest.mark.slow

_UNLIMITED = 100_000
# The engine's default parallelism on a runner of GitHub, with four processors: four times their number.
# Source: pkg/cmd/pulumi/operations/up.go of https://github.com/pulumi/pulumi/tree/v3.255.0
_RUNNER = 16


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def resources(stack: str) -> Sequence[Resource]:
    return record_stack(stack)


@pytest.fixture(scope="module")
def estimate(stack: str, resources: Sequence[Resource]) -> Estimate:
    _, usage = read_cost_settings(stack)
    return monthly_cost(resources, load_prices(), usage)


def test_at_least_95_percent_of_chargeable_resources_are_priced(estimate: Estimate) -> None:
    incomplete = {missing.urn for missing in estimate.missing}
    complete = {row.urn for row in estimate.rows} - incomplete
    assert len(complete) >= 40
    assert len(complete) / len(complete | incomplete) >= 0.95, sorted(incomplete)


def test_every_type_is_charged_or_free(estimate: Estimate) -> None:
    assert estimate.unknown == ()
    assert all(free.source for free in estimate.free)


def test_a_missing_price_is_named_with_item_and_region(stack: str, estimate: Estimate) -> None:
    region = {"azure": "westeurope", "aws": "eu-west-1"}[stack.partition("-")[0]]
    assert estimate.region == region
    assert all(f" in {region}" in missing.reason for missing in estimate.missing)


def test_production_costs_more_than_development(estimate: Estimate, stack: str) -> None:
    cloud, _, environment = stack.partition("-")
    _, usage = read_cost_settings(f"{cloud}-dev")
    dev = monthly_cost(record_stack(f"{cloud}-dev"), load_prices(), usage)
    assert (estimate.total_usd > 1.3 * dev.total_usd) is (environment == "prod")


def test_a_deployment_takes_no_longer_than_its_critical_path(resources: Sequence[Resource]) -> None:
    durations = load_durations()
    schedule = critical_path(resources, durations)
    assert schedule.unknown == ()
    assert find_makespan(resources, durations, _UNLIMITED) <= 1.05 * schedule.critical_path_s
    assert find_makespan(resources, durations, _RUNNER) <= 1.05 * schedule.critical_path_s


def test_a_deployment_takes_at_most_an_hour(resources: Sequence[Resource]) -> None:
    """On Azure, where the network of the training workspace takes half of it."""
    assert 15 * 60 < critical_path(resources, load_durations()).critical_path_s < 60 * 60


def test_serving_is_deleted_before_its_dependencies(resources: Sequence[Resource]) -> None:
    """KServe depends on the gateway that it names, so it is deleted first: a resource in use cannot be deleted."""
    by_urn = {resource.urn: resource for resource in resources}
    (controller,) = [urn for urn in by_urn if urn.endswith("Release::kserve-resources")]
    needed: set[str] = set()
    remaining = [controller]
    while remaining:
        new = set(by_urn[remaining.pop()].dependencies) & by_urn.keys() - needed
        needed |= new
        remaining += new
    assert any(urn.endswith("Release::cert-manager") for urn in needed)
    assert any(urn.endswith("Gateway::platform-gateway") for urn in needed)


def test_the_figures_of_the_page_match_the_stacks() -> None:
    assert split_page(PAGE.read_text())[1] == render_figures(), "run `make docs-cost`"
