"""/ab-test/stats: the metrics of this process, by experiment. Results with outcomes are in the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter as CounterMetric
from prometheus_client import Histogram

from lifecycle.core import ROLES
from lifecycle.experiment import metrics
from lifecycle.experiment.definitions import DefinitionsFile
from lifecycle.gitops.experiments import Experiment


def summarize(definitions: DefinitionsFile) -> Mapping[str, Any]:
    """Counts since this process started, as a JSON object."""
    return {
        "experiments": {name: _summarize(each) for name, each in definitions.current.by_name.items()},
        "lost_records": _count(metrics.LOST, "reason"),
        "definitions_problem": definitions.problem,
    }


def _summarize(experiment: Experiment) -> Mapping[str, Any]:
    name = {"experiment": experiment.name}
    return {
        "model": experiment.model,
        "state": experiment.state,
        "challenger_percent": experiment.challenger_percent,
        "variants": {variant: _summarize_variant({**name, "variant": variant}) for variant in ROLES},
        "fallbacks": _count(metrics.FALLBACKS, "reason", name),
        "unassigned": _count(metrics.UNASSIGNED, "reason", name),
        "outcomes": _count(metrics.OUTCOMES, "result", name).get("accepted", 0),
    }


def _summarize_variant(labels: Mapping[str, str]) -> Mapping[str, Any]:
    statuses = _count(metrics.REQUESTS, "status", labels)
    requests = sum(statuses.values())
    seconds = sum(value for suffix, _, value in _samples(metrics.SECONDS, labels) if suffix == "_sum")
    return {
        "requests": requests,
        "errors": sum(count for status, count in statuses.items() if status.startswith("5")),
        "mean_seconds": seconds / requests if requests else None,
    }


def _count(metric: CounterMetric, label: str, labels: Mapping[str, str] | None = None) -> Mapping[str, int]:
    """A counter's values, keyed by one label, and summed over labels not in `labels`."""
    counts: Counter[str] = Counter()
    for suffix, found, value in _samples(metric, labels or {}):
        if suffix == "_total":
            counts[found[label]] += int(value)
    return dict(counts)


def _samples(
    metric: CounterMetric | Histogram, labels: Mapping[str, str]
) -> list[tuple[str, Mapping[str, str], float]]:
    """Suffix, labels and value of the samples that have all these labels."""
    (family,) = metric.collect()
    return [
        (sample.name.removeprefix(family.name), sample.labels, sample.value)
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    ]
