"""The schedule of a deployment: starts, the critical path, limits of parallelism, and impossible graphs.

Proves the arithmetic on small graphs; test_stacks.py has the graphs of the stacks.
"""

from __future__ import annotations

import pytest

from estimates import CyclicDependencyError, Resource, critical_path, find_makespan, load_durations
from estimates.durations import Duration, DurationTable
from tests.support.estimated_resources import resource

DAY = load_durations().durations[0].checked
TABLE = DurationTable(
    [
        Duration("x:a:Slow", 100.0, "logs", "https://example.com", DAY),
        Duration("x:a:Quick", 10.0, "logs", "https://example.com", DAY),
    ]
)


def slow(name: str, *needs: Resource) -> Resource:
    return Resource(f"urn::x:a:Slow::{name}", "x:a:Slow", {"name": name}, "", tuple(need.urn for need in needs))


def quick(name: str, *needs: Resource) -> Resource:
    return Resource(f"urn::x:a:Quick::{name}", "x:a:Quick", {}, "", tuple(need.urn for need in needs))


@pytest.fixture(autouse=True)
def _count_test_types_as_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resource, "is_component", property(lambda each: each.type.startswith("groundwork:")))


def test_each_resource_begins_when_its_dependencies_exist() -> None:
    first, other = slow("first"), quick("other")
    last = quick("last", first, other)
    schedule = critical_path([last, other, first], TABLE)
    times = {step.name: (step.start_s, step.end_s) for step in schedule.steps}
    assert times == {"first": (0, 100), "other": (0, 10), "last": (100, 110)}
    assert [step.name for step in schedule.path] == ["first", "last"]
    assert (schedule.critical_path_s, schedule.serial_s) == (110, 120)


def test_the_critical_path_goes_through_components_that_take_no_time() -> None:
    first = slow("first")
    component = Resource("urn::groundwork:x:C::c", "groundwork:x:C", {}, "", (first.urn,))
    last = Resource("urn::x:a:Quick::last", "x:a:Quick", {}, component.urn, (component.urn,))
    assert [step.name for step in critical_path([first, component, last], TABLE).path] == ["first", "last"]


def test_types_without_a_duration_are_named() -> None:
    schedule = critical_path([resource("x:b:Unknown"), slow("a")], TABLE)
    assert schedule.unknown == ("x:b:Unknown",)


@pytest.mark.parametrize(("parallelism", "seconds"), [(1, 400), (2, 200), (3, 200), (4, 100), (100, 100)])
def test_a_limit_of_parallelism_lengthens_a_deployment(parallelism: int, seconds: float) -> None:
    assert find_makespan([slow(name) for name in "abcd"], TABLE, parallelism) == seconds


def test_without_a_limit_a_deployment_takes_as_long_as_its_critical_path() -> None:
    first = slow("first")
    graph = [first, *(quick(str(number), first) for number in range(20))]
    assert find_makespan(graph, TABLE, 1000) == critical_path(graph, TABLE).critical_path_s == 110
    assert find_makespan(graph, TABLE, 10) == 120


def test_resources_that_wait_for_one_another_are_an_error() -> None:
    one = Resource("urn::x:a:Slow::one", "x:a:Slow", {}, "", ("urn::x:a:Slow::two",))
    two = Resource("urn::x:a:Slow::two", "x:a:Slow", {}, "", (one.urn,))
    with pytest.raises(CyclicDependencyError, match="one, two"):
        critical_path([one, two], TABLE)


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("45s", 45), ("500ms", 0.5)])
def test_a_sleep_takes_its_declared_duration(text: str, seconds: float) -> None:
    sleep = resource("time:index/sleep:Sleep", createDuration=text)
    assert load_durations().estimate(sleep) == seconds


def test_a_sleep_before_deletion_takes_no_time_at_creation() -> None:
    assert load_durations().estimate(resource("time:index/sleep:Sleep", destroyDuration="5m")) == 0
