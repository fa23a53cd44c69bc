"""When each resource of a deployment is created, and which chain of dependencies decides how long it takes."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estimates.durations import DurationTable
from estimates.resources import Resource


class CyclicDependencyError(ValueError):
    """Resources that wait for one another."""


@dataclass(frozen=True)
class Step:
    """The creation of a resource, in seconds since the deployment began.

    waits_for  URN of the dependency that ended last; empty if it waits for none
    """

    urn: str
    type: str
    start_s: float
    end_s: float
    waits_for: str = ""

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Schedule:
    """
    steps    all resources, in the order in which they begin, as an engine without a limit of parallelism creates them
    path     the critical path: the chain of steps that ends last, without those that take no time
    unknown  types without a known duration: they count as 0 seconds
    """

    steps: tuple[Step, ...]
    path: tuple[Step, ...]
    unknown: tuple[str, ...]

    @property
    def critical_path_s(self) -> float:
        return self.path[-1].end_s if self.path else 0.0

    @property
    def serial_s(self) -> float:
        """Seconds if one resource was created after another."""
        return sum(step.seconds for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        critical = {step.urn for step in self.path}
        return {
            "criticalPathSeconds": round(self.critical_path_s),
            "makespanSeconds": round(max((step.end_s for step in self.steps), default=0)),
            "serialSeconds": round(self.serial_s),
            "path": [_dump(step) for step in self.path],
            "steps": [{**_dump(step), "isCritical": step.urn in critical} for step in self.steps],
            "unknown": list(self.unknown),
        }


def critical_path(resources: Sequence[Resource], durations: DurationTable) -> Schedule:
    """When each resource is created, if each begins as soon as everything that it depends on exists.

    Raises CyclicDependencyError if resources wait for one another.
    """
    steps: dict[str, Step] = {}
    for resource in sort_by_dependencies(resources):
        known = [steps[urn] for urn in resource.dependencies if urn in steps]
        # If several end at the same time, choose the same one in every run: the engine registers in no fixed order.
        last = max(known, key=lambda step: (step.end_s, step.urn), default=None)
        start = last.end_s if last else 0.0
        end = start + (durations.estimate(resource) or 0.0)
        steps[resource.urn] = Step(resource.urn, resource.type, start, end, last.urn if last else "")
    unknown = sorted({each.type for each in resources if durations.estimate(each) is None})
    ordered = sorted(steps.values(), key=lambda step: (step.start_s, step.end_s, step.urn))
    return Schedule(tuple(ordered), tuple(_follow(steps)), tuple(unknown))


def find_makespan(resources: Sequence[Resource], durations: DurationTable, parallelism: int) -> float:
    """Seconds that a deployment takes if it creates at most `parallelism` resources at the same time.

    The resource that became ready first begins first, as in the engine. Components do not count.
    """
    order = {resource.urn: number for number, resource in enumerate(resources)}
    ready_at = dict.fromkeys(order, 0.0)
    waiting = Counter({each.urn: sum(urn in order for urn in each.dependencies) for each in resources})
    dependents = _invert(resources)
    by_urn = {resource.urn: resource for resource in resources}
    ready = [(0.0, order[urn], urn) for urn in order if not waiting[urn]]
    heapq.heapify(ready)
    free_at = [0.0] * parallelism
    makespan = 0.0
    while ready:
        since, _, urn = heapq.heappop(ready)
        seconds = durations.estimate(by_urn[urn]) or 0.0
        end = max(since, heapq.heappop(free_at)) + seconds if seconds else since
        if seconds:
            heapq.heappush(free_at, end)
        makespan = max(makespan, end)
        for dependent in dependents.get(urn, ()):
            ready_at[dependent] = max(ready_at[dependent], end)
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heapq.heappush(ready, (ready_at[dependent], order[dependent], dependent))
    return makespan


def sort_by_dependencies(resources: Iterable[Resource]) -> list[Resource]:
    """The resources, each after everything that it depends on. Raises CyclicDependencyError."""
    by_urn = {resource.urn: resource for resource in resources}
    waiting = {urn: {need for need in each.dependencies if need in by_urn} for urn, each in by_urn.items()}
    dependents = _invert(by_urn.values())
    ready = [urn for urn, needs in waiting.items() if not needs]
    found = []
    while ready:
        urn = ready.pop()
        found.append(by_urn[urn])
        for dependent in dependents.get(urn, ()):
            waiting[dependent].discard(urn)
            if not waiting[dependent]:
                ready.append(dependent)
    if len(found) < len(by_urn):
        stuck = sorted(urn.rpartition("::")[2] for urn, needs in waiting.items() if needs)
        raise CyclicDependencyError(f"these resources wait for one another: {', '.join(stuck[:5])}")
    return found


def _invert(resources: Iterable[Resource]) -> dict[str, list[str]]:
    dependents: dict[str, list[str]] = {}
    for resource in resources:
        for urn in resource.dependencies:
            dependents.setdefault(urn, []).append(resource.urn)
    return dependents


def _follow(steps: Mapping[str, Step]) -> list[Step]:
    """From the step that ends last back to the first that it waits for."""
    step = max(steps.values(), key=lambda each: (each.end_s, each.urn), default=None)
    path: list[Step] = []
    while step is not None:
        if step.seconds:
            path.insert(0, step)
        step = steps.get(step.waits_for)
    return path


def _dump(step: Step) -> dict[str, Any]:
    times = {"startSeconds": round(step.start_s), "endSeconds": round(step.end_s)}
    return {"urn": step.urn, "type": step.type, "name": step.name, **times}
