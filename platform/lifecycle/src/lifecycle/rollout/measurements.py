"""Metrics in Prometheus of a challenger's requests, and of the champion's requests in the same time.

The metrics of lifecycle.serving, by model and version:
    groundwork_requests_total{endpoint, status}     requests answered
    groundwork_request_seconds_bucket{endpoint}     their response times
    groundwork_lost_requests_total                  requests left unanswered by a worker's death
    groundwork_worker_deaths_total                  workers that ended unexpectedly
Prometheus does not count a counter's first value as an increase, so the last two must be 0 when a server starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from lifecycle.core import CHALLENGER, ModelVersion, tracing
from lifecycle.core.sequential import Counts, Floats
from lifecycle.gitops.manifests import service_name
from lifecycle.rollout.settings import RolloutSettings

_ENDPOINTS = "predict|predict_v1|infer_v2"  # the endpoints in the metrics of lifecycle.serving
_TIMEOUT = 10.0  # seconds for a response
_MAX_BLOCKS = 10_000  # Prometheus returns at most 11,000 points of a series


class MissingMetricError(Exception):
    """Prometheus has no such data; the message names what is missing."""


@dataclass(frozen=True)
class Requests:
    """The requests of one version, in blocks of time.

    failed    trials are responses and lost requests; events are responses with a status 5xx, and lost requests
    slow      trials are responses; events are those that took longer than the limit
    rejected  trials are responses; events are those with the status 400, of inputs that a model does not accept
    """

    failed: Counts
    slow: Counts
    rejected: Counts


class Measurements:
    """Queries of Prometheus. They raise httpx.HTTPError if it does not answer, MissingMetricError without data."""

    def __init__(self, settings: RolloutSettings) -> None:
        self._settings = settings
        self._client = httpx.Client(base_url=f"{settings.prometheus.rstrip('/')}/api/v1/", timeout=_TIMEOUT)

    def count_requests(self, version: ModelVersion, seconds: float) -> float:
        """The requests that a version has answered in the last seconds; 0 without data."""
        return self._query(f"sum(increase(groundwork_requests_total{{{_labels(version)}}}[{self._window(seconds)}s]))")

    def count_worker_deaths(self, version: ModelVersion, seconds: float) -> float:
        labels = f'model="{version.model}",version="{version.version}"'
        return self._query(f"sum(increase(groundwork_worker_deaths_total{{{labels}}}[{self._window(seconds)}s]))")

    def count_restarts(self, version: ModelVersion, seconds: float) -> float:
        """Restarts of the challenger's containers, as reported by kube-state-metrics."""
        pods = f'namespace="{self._settings.namespace}",pod=~"{service_name(version.model, CHALLENGER)}-.*"'
        query = f"sum(increase(kube_pod_container_status_restarts_total{{{pods}}}[{self._window(seconds)}s]))"
        found = self._query(query, default=math.nan)
        if math.isnan(found):
            raise MissingMetricError("restarts")
        return found

    def read_requests(self, seconds: float, *versions: ModelVersion) -> Mapping[str, Requests]:
        """The requests of versions of a model in the last seconds, keyed by version, in whole blocks of time."""
        block = self._settings.metrics_block
        whole = max(1, math.floor(seconds / block))
        number = min(whole, _MAX_BLOCKS)
        # Blocks end at the same times in every evaluation; in a very long rollout only the latest ones count.
        start = time.time() - max(0.0, seconds - block) + (whole - number) * block
        labels = _labels(*versions)
        lost = f'model="{versions[0].model}",version=~"{_join(versions)}"'

        def read(metric: str, selector: str, by: str = "version") -> Mapping[tuple[str, ...], Floats]:
            query = f"sum by ({by}) (increase({metric}{{{selector}}}[{math.ceil(block)}s]))"
            return self._query_range(query, by.split(","), start, number)

        responses = read("groundwork_requests_total", labels, "version,status")
        losses = read("groundwork_lost_requests_total", lost)
        buckets = read("groundwork_request_seconds_bucket", labels, "version,le")
        none = np.zeros(number)

        def count(version: str, prefix: str = "") -> Floats:
            """Responses whose status begins with the prefix."""
            by_status = (counts for key, counts in responses.items() if key[0] == version and key[1].startswith(prefix))
            return sum(by_status, start=none)

        def combine(version: str) -> Requests:
            answered, lost_ = count(version), losses.get((version,), none)
            errors = Counts(answered + lost_, count(version, "5") + lost_)
            times = {float(le): counts for (found, le), counts in buckets.items() if found == version}
            rejections = Counts(answered, count(version, "400"))
            return Requests(errors, self._count_slow(times, errors), rejections)

        return {version.version: combine(version.version) for version in versions}

    def _count_slow(self, buckets: Mapping[float, Floats], requests: Counts) -> Counts:
        """Responses slower than the histogram's first bound that is not below the limit."""
        if not buckets:
            if requests.trials.any():
                raise MissingMetricError("response times")
            return Counts(np.zeros_like(requests.trials), np.zeros_like(requests.trials))
        bound = min(le for le in buckets if le >= self._settings.max_p95)
        return Counts(buckets[math.inf], np.maximum(0.0, buckets[math.inf] - buckets[bound]))

    def _window(self, seconds: float) -> int:
        return math.ceil(max(seconds, self._settings.metrics_block))

    def _query(self, query: str, default: float = 0.0) -> float:
        """https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries"""
        for series in self._request("query", {"query": query}):
            value = float(series["value"][1])
            return default if math.isnan(value) else value
        return default

    def _query_range(
        self, query: str, labels: list[str], start: float, number: int
    ) -> Mapping[tuple[str, ...], Floats]:
        """Values, keyed by the labels' values; 0 if there are none.

        https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
        """
        step = self._settings.metrics_block
        times = {"start": start, "end": start + (number - 1) * step, "step": step}
        found: dict[tuple[str, ...], Floats] = {}
        for series in self._request("query_range", {"query": query, **times}):
            values = found[tuple(series["metric"].get(label, "") for label in labels)] = np.zeros(number)
            for time_, value in series["values"]:
                index = round((float(time_) - start) / step)
                values[min(max(index, 0), number - 1)] = np.nan_to_num(float(value))
        return found

    def _request(self, path: str, parameters: Mapping[str, Any]) -> list[Any]:
        headers: dict[str, str] = {}
        tracing.inject(headers)
        response = self._client.get(path, params=dict(parameters), headers=headers)
        response.raise_for_status()
        try:
            result = response.json()["data"]["result"]
        except (ValueError, KeyError, TypeError):
            raise MissingMetricError("readable response") from None
        return result if isinstance(result, list) else []


def _labels(*versions: ModelVersion) -> str:
    return f'model="{versions[0].model}",version=~"{_join(versions)}",endpoint=~"{_ENDPOINTS}"'


def _join(versions: tuple[ModelVersion, ...]) -> str:
    return "|".join(version.version for version in versions)
