"""Checks that the metrics that alerts use are scraped.

A project lists the metrics of each component, and the workloads that expose them. An alert on a metric never fires if
the workload runs and no monitor selects it. Metrics in an expression are found by their names, without parsing it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from rehearsal.kubernetes.readiness.monitors import API, list_scrapes, list_selecting
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.wiring.graph import Wiring

NODES = "nodes"  # stands for kubelets, which are scraped on nodes and are not pods
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PARTS = ("bucket", "count", "sum")  # suffixes of a histogram's metrics


@dataclass(frozen=True)
class Component:
    """A component that exposes metrics.

    workloads  patterns of `Deployment <namespace>/<name>`, or NODES, keyed by prefix of the metrics' names
    """

    metrics: Collection[str]
    workloads: Mapping[str, Sequence[str]]

    def find_workloads(self, metric: str) -> Sequence[str]:
        """Patterns of the workloads that expose a metric; empty if they are not listed."""
        starts = [start for start in self.workloads if metric.startswith(start)]
        return self.workloads[max(starts, key=len)] if starts else ()


def read_catalogue(folder: Path | None) -> Sequence[Component]:
    """The components listed in the files of a folder; empty without a folder."""
    return [_read(path) for path in sorted(folder.glob("*.yaml"))] if folder else []


def _read(path: Path) -> Component:
    recorded = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {*recorded["metrics"]}
    names |= {f"{name}_{part}" for name in recorded.get("histograms", ()) for part in _PARTS}
    return Component(names, recorded.get("workloads", {}))


def find_problems(wiring: Wiring, catalogue: Sequence[Component]) -> Iterator[Problem]:
    exposed = {metric: component for component in catalogue for metric in component.metrics}
    running = {pod.owner for pod in wiring.pods} | {NODES}
    scraped = set(_list_scraped(wiring))
    silent: dict[str, list[str]] = {}
    for alert, expression in _list_alerts(wiring):
        for metric in dict.fromkeys(_NAME.findall(expression)):
            patterns = exposed[metric].find_workloads(metric) if metric in exposed else ()
            exposing = [name for name in running if any(fnmatchcase(name, pattern) for pattern in patterns)]
            if exposing and not scraped & {*exposing}:
                silent.setdefault(min(exposing), []).append(f"{alert} ({metric})")
    for workload, alerts in silent.items():
        reason = f"nothing scrapes its metrics, so these alerts never fire: {', '.join(sorted({*alerts}))}"
        yield Problem(workload, reason, "create a monitor for it")


def _list_scraped(wiring: Wiring) -> Iterator[str]:
    """Workloads that a Prometheus scrapes."""
    for scrape in list_scrapes(wiring.cluster):
        if list_selecting(wiring.cluster, scrape.monitor):
            pod = scrape.target.pod
            yield describe_object(wiring.cluster.find_workload(pod)) if pod else NODES


def _list_alerts(wiring: Wiring) -> Iterator[tuple[str, str]]:
    """Names and expressions of the alerts, including the expressions of recording rules that they use."""
    rules = [
        rule
        for found in wiring.cluster.list(API, "PrometheusRule")
        for group in found["spec"].get("groups") or ()
        for rule in group.get("rules") or ()
    ]
    recorded: Mapping[str, str] = {rule["record"]: str(rule["expr"]) for rule in rules if "record" in rule}
    for rule in rules:
        if "alert" in rule:
            expression = str(rule["expr"])
            yield rule["alert"], " ".join([expression, *_expand(expression, recorded)])


def _expand(expression: str, recorded: Mapping[str, str]) -> Iterator[str]:
    """The expressions of the recorded metrics in an expression, recursively."""
    remaining, seen = _NAME.findall(expression), set()
    while remaining:
        name = remaining.pop()
        if name in recorded and name not in seen:
            seen.add(name)
            yield recorded[name]
            remaining += _NAME.findall(recorded[name])
