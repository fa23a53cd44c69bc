"""Whether a challenger may have more requests: by its metrics in Prometheus, and by test predictions of its service."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from tenacity import RetryError, Retrying, retry_if_exception_type, retry_if_result, stop_after_attempt, wait_fixed

from lifecycle.core import CHALLENGER, LifecycleError, ModelRegistry, ModelVersion
from lifecycle.core.names import HELD_OUT_PATH
from lifecycle.gitops.manifests import service_name
from lifecycle.rollout.settings import RolloutSettings

_SLOW_RESPONSES = 3  # in a row, to the same request, after which a service has failed
_TIMEOUT = 10.0  # seconds for a response of Prometheus, or of a service about itself
_MIN_WINDOW = 5  # seconds; a range must contain two scrapes
_ENDPOINTS = "predict|predict_v1|infer_v2"  # the endpoints in the metrics of lifecycle.serving

Rows = Sequence[Mapping[str, Any]]


class Result(Enum):
    """The result of an evaluation. INCONCLUSIVE becomes a failure when it persists."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


@dataclass(frozen=True)
class Evaluation:
    result: Result
    reasons: Sequence[str] = field(default_factory=tuple)


class _SlowResponseError(Exception):
    """A response took longer than it may, or did not come."""


class Guardrails:
    """Evaluates one version in one role. `rows` returns the features for test predictions of a version."""

    def __init__(self, settings: RolloutSettings, rows: Callable[[ModelVersion, int], Rows]) -> None:
        self._settings = settings
        self._rows = rows
        self._client = httpx.Client(timeout=_TIMEOUT)

    def evaluate(self, version: ModelVersion, *, requests_for: float | None) -> Evaluation:
        """Evaluate the challenger; `requests_for` is how many seconds it has had requests, None if it has none."""
        evaluation = self.probe(version, CHALLENGER)
        if evaluation.result is Result.FAILED or requests_for is None:
            return evaluation
        try:
            return self._evaluate_metrics(version, max(_MIN_WINDOW, math.ceil(requests_for)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = f"Prometheus does not answer at {self._settings.prometheus} ({type(error).__name__})"
            return Evaluation(Result.INCONCLUSIVE, [f"{problem}: start it, or set ROLLOUT_PROMETHEUS to its address"])

    def probe(self, version: ModelVersion, role: str) -> Evaluation:
        """Check the role's service itself: readiness, then test predictions."""
        settings = self._settings
        url = settings.service_url.format(service=service_name(version.model, role), namespace=settings.namespace)
        if not self._wait_until_ready(url):
            checks = f"{settings.readiness_failure_threshold} checks, {settings.readiness_period:g} s apart"
            return Evaluation(
                Result.FAILED, [f"{url}/ready did not become ready for version {version.version}: {checks}"]
            )
        try:
            rows = self._rows(version, settings.test_predictions)
        except LifecycleError as error:
            return Evaluation(Result.INCONCLUSIVE, [f"there are no rows for test predictions: {error}"])
        if len(rows) < settings.test_predictions:
            reason = f"the run held out {len(rows)} rows, fewer than the {settings.test_predictions} test predictions"
            return Evaluation(Result.FAILED, [reason])
        features = self._fetch_features(url, version)
        inputs = ({name: row.get(name) for name in features} for row in rows)
        problems = (self._test_prediction(url, version, row) for row in inputs)
        problem = next(filter(None, problems), "")
        return Evaluation(Result.FAILED, [problem]) if problem else Evaluation(Result.PASSED)

    def _wait_until_ready(self, url: str) -> bool:
        retrying = Retrying(
            stop=stop_after_attempt(self._settings.readiness_failure_threshold),
            wait=wait_fixed(self._settings.readiness_period),
            retry=retry_if_result(lambda is_ready: not is_ready),
        )
        try:
            return retrying(self._is_ready, url)
        except RetryError:
            return False

    def _is_ready(self, url: str) -> bool:
        try:
            return self._client.get(f"{url}/ready").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _fetch_features(self, url: str, version: ModelVersion) -> Sequence[str]:
        """The names of the model's inputs, from the service; held-out rows have more columns."""
        try:
            inputs = self._client.get(f"{url}/v2/models/{version.model}").json()["inputs"]
            return [str(column["name"]) for column in inputs]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _test_prediction(self, url: str, version: ModelVersion, row: Mapping[str, Any]) -> str:
        """Test one prediction; returns what is wrong with the response, or an empty string.

        One slow response is no failure, since any pause on the way causes it: the metrics tell whether many are slow.
        """
        retrying = Retrying(
            stop=stop_after_attempt(_SLOW_RESPONSES), retry=retry_if_exception_type(_SlowResponseError), reraise=True
        )
        try:
            return retrying(self._request_prediction, url, version, row)
        except _SlowResponseError as error:
            return str(error)

    def _request_prediction(self, url: str, version: ModelVersion, row: Mapping[str, Any]) -> str:
        """What is wrong with the response, or an empty string. Raises _SlowResponseError."""
        body = {"features": row, "user_id": "groundwork-rollout"}
        limit = self._settings.max_p95
        started = time.monotonic()
        try:
            response = self._client.post(f"{url}/predict", json=body, timeout=limit)
        except httpx.HTTPError as error:
            message = f"a test prediction got no response within {limit:g} s ({type(error).__name__})"
            raise _SlowResponseError(message) from None
        elapsed = time.monotonic() - started
        if response.status_code != httpx.codes.OK:
            return f"a test prediction got a response with status {response.status_code}"
        if elapsed > limit:
            raise _SlowResponseError(f"a test prediction took {elapsed:.2f} s, more than {limit:g} s")
        return _check_response(response, version)

    def _evaluate_metrics(self, version: ModelVersion, window: int) -> Evaluation:
        settings = self._settings
        labels = f'model="{version.model}",version="{version.version}",endpoint=~"{_ENDPOINTS}"'
        requests = f"sum(increase(groundwork_requests_total{{{labels}}}[{window}s]))"
        failed = f'sum(increase(groundwork_requests_total{{{labels},status=~"5.."}}[{window}s])) or vector(0)'
        buckets = f"sum by (le) (rate(groundwork_request_seconds_bucket{{{labels}}}[{window}s]))"
        pods = f'namespace="{settings.namespace}",pod=~"{service_name(version.model, CHALLENGER)}-.*"'
        restarts = f"sum(increase(kube_pod_container_status_restarts_total{{{pods}}}[{window}s]))"

        count = self._query(requests)
        if count is None or count < settings.min_requests:
            counted = "none" if count is None else f"{count:.0f}"
            reason = f"{counted} of {settings.min_requests} requests seen in {window} s"
            return Evaluation(Result.INCONCLUSIVE, [reason])
        limits: list[tuple[str, str, float]] = [
            ("error rate", f"({failed}) / {requests}", settings.max_error_rate),
            ("p95 in seconds", f"histogram_quantile(0.95, {buckets})", settings.max_p95),
        ]
        if settings.max_restarts is not None:
            limits.append(("restarts", restarts, settings.max_restarts))
        return _combine([_compare(name, self._query(query), limit) for name, query, limit in limits])

    def _query(self, query: str) -> float | None:
        """The value of an instant query; None when Prometheus has no data. Raises httpx.HTTPError.

        https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
        """
        response = self._client.get(f"{self._settings.prometheus.rstrip('/')}/api/v1/query", params={"query": query})
        response.raise_for_status()
        try:
            (series,) = response.json()["data"]["result"]
            value = float(series["value"][1])
        except (ValueError, KeyError, TypeError):
            return None
        return None if math.isnan(value) else value


def held_out_rows(registry: ModelRegistry) -> Callable[[ModelVersion, int], Rows]:
    """A function that returns the first rows that a version's run held out, with all columns.

    Rows are downloaded once per version. The function raises LifecycleError.
    """
    cache: dict[ModelVersion, Rows] = {}

    def rows(version: ModelVersion, number: int) -> Rows:
        if version not in cache:
            with tempfile.TemporaryDirectory() as folder:
                uri = f"runs:/{version.lineage.run_id}/{HELD_OUT_PATH}"
                file = registry.download(uri, Path(folder))
                try:
                    frame = pd.read_parquet(file).head(number)
                except (OSError, ValueError):
                    raise LifecycleError(f"the artifact {uri} is not a readable Parquet file") from None
            cache[version] = json.loads(frame.to_json(orient="records"))
        return cache[version]

    return rows


def _check_response(response: httpx.Response, version: ModelVersion) -> str:
    try:
        content = response.json()
        predictions = content["predictions"]
    except (ValueError, KeyError, TypeError):
        return "the response to a test prediction has no predictions"
    if str(content.get("version")) != version.version:
        return f"a test prediction was answered by version {content.get('version')}, not {version.version}"
    is_single = isinstance(predictions, list) and len(predictions) == 1
    if not is_single or any(isinstance(value, float) and not math.isfinite(value) for value in predictions):
        return "the response to a test prediction is not one finite value"
    return ""


def _compare(name: str, value: float | None, limit: float) -> Evaluation:
    if value is None:
        return Evaluation(Result.INCONCLUSIVE, [f"Prometheus has no {name}"])
    if value > limit:
        return Evaluation(Result.FAILED, [f"{name} is {value:.3g}, more than {limit:g}"])
    return Evaluation(Result.PASSED)


def _combine(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The worst result, with the reasons of all that have it."""
    for result in (Result.FAILED, Result.INCONCLUSIVE):
        reasons = [reason for each in evaluations if each.result is result for reason in each.reasons]
        if reasons:
            return Evaluation(result, reasons)
    return Evaluation(Result.PASSED)
