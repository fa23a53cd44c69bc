"""Decides whether a challenger may get more requests, from its metrics in Prometheus and from test predictions."""

from __future__ import annotations

import json
import math
import tempfile
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
from lifecycle.core.sequential import Floats, compare_rates, exceed_rate
from lifecycle.gitops.manifests import service_name
from lifecycle.rollout.measurements import Measurements, MissingMetricError, Requests
from lifecycle.rollout.settings import RolloutSettings

_SLOW_RESPONSES = 3  # in a row, to the same request, after which a service has failed
_TIMEOUT = 10.0  # seconds for a response of a service about itself
_SLOW_SHARE = 0.05  # of the responses may take longer than a 95th percentile

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


@dataclass(frozen=True)
class Periods:
    """For how many seconds a challenger has had requests: at its current weight, and in the whole rollout."""

    step: float
    rollout: float


class _SlowResponseError(Exception):
    """A response took longer than allowed, or did not arrive."""


class Guardrails:
    """Evaluates one version in one role. `rows` returns the features for test predictions of a version."""

    def __init__(self, settings: RolloutSettings, rows: Callable[[ModelVersion, int], Rows]) -> None:
        self._settings = settings
        self._rows = rows
        self._client = httpx.Client(timeout=_TIMEOUT)
        self._measurements = Measurements(settings)

    def evaluate(self, challenger: ModelVersion, champion: ModelVersion | None, periods: Periods | None) -> Evaluation:
        """Evaluate the challenger, in comparison with the champion if it has requests; otherwise `periods` is None."""
        if periods is None or champion is None:
            return self.probe(challenger, CHALLENGER, has_requests=False)
        evaluation = self.probe(challenger, CHALLENGER, has_requests=True)
        if evaluation.result is Result.FAILED:
            return evaluation
        try:
            return self._evaluate_metrics(challenger, champion, periods)
        except MissingMetricError as error:
            return Evaluation(Result.INCONCLUSIVE, [f"Prometheus has no {error}"])
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = f"Prometheus does not answer at {self._settings.prometheus} ({type(error).__name__})"
            return Evaluation(Result.INCONCLUSIVE, [f"{problem}: start it, or set ROLLOUT_PROMETHEUS to its address"])

    def probe(self, version: ModelVersion, role: str, *, has_requests: bool) -> Evaluation:
        """Check the role's service itself: readiness, then test predictions.

        Without requests of users, a service may still become ready: its image is being pulled, or a node added.
        """
        settings = self._settings
        url = settings.service_url.format(service=service_name(version.model, role), namespace=settings.namespace)
        if not has_requests and not self._is_ready(url):
            return Evaluation(Result.INCONCLUSIVE, [f"{url}/ready is not ready yet for version {version.version}"])
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
        """The names of the model's inputs, from the service; the held-out rows have more columns."""
        try:
            inputs = self._client.get(f"{url}/v2/models/{version.model}").json()["inputs"]
            return [str(column["name"]) for column in inputs]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _test_prediction(self, url: str, version: ModelVersion, row: Mapping[str, Any]) -> str:
        """Test one prediction; returns what is wrong with the response, or an empty string.

        A single slow response is not a failure, since any pause on the way can cause it; metrics show if many are slow.
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
        limit = self._settings.test_timeout
        try:
            response = self._client.post(f"{url}/predict", json=body, timeout=limit)
        except httpx.HTTPError as error:
            message = f"a test prediction got no response within {limit:g} s ({type(error).__name__})"
            raise _SlowResponseError(message) from None
        if response.status_code != httpx.codes.OK:
            return f"a test prediction got a response with status {response.status_code}"
        return _check_response(response, version)

    def _evaluate_metrics(self, challenger: ModelVersion, champion: ModelVersion, periods: Periods) -> Evaluation:
        settings, measurements = self._settings, self._measurements
        counted = measurements.count_requests(challenger, periods.step)
        requests = measurements.read_requests(periods.rollout, challenger, champion)
        excesses = find_excesses(requests[challenger.version], requests[champion.version], settings)
        deaths = measurements.count_worker_deaths(challenger, periods.step)
        if deaths > settings.max_worker_deaths:
            excesses.append(f"{deaths:.0f} worker processes died, more than {settings.max_worker_deaths}")
        if excesses:
            return Evaluation(Result.FAILED, excesses)
        if settings.max_restarts is not None:
            restarts = measurements.count_restarts(challenger, periods.step)
            if restarts > settings.max_restarts:
                return Evaluation(
                    Result.FAILED, [f"{restarts:.0f} container restarts, more than {settings.max_restarts}"]
                )
        if counted < settings.min_requests:
            reason = f"{counted:.0f} of {settings.min_requests} requests seen in {periods.step:.0f} s"
            return Evaluation(Result.INCONCLUSIVE, [reason])
        return Evaluation(Result.PASSED)


def find_excesses(challenger: Requests, champion: Requests, settings: RolloutSettings) -> list[str]:
    """In which respects the challenger is worse than the champion, or exceeds a limit, beyond what chance explains.

    For a challenger that is neither, the probability that this ever finds something during a rollout is at most
    `settings.false_rollback_rate`. Half of it is for the comparison of failures, so that an increase is found soon.
    Rejected inputs have no limit of their own, since clients send them: only the comparison shows whose fault they are.
    """
    rate = settings.false_rollback_rate
    slow = f"responses took longer than {settings.max_p95:g} s"
    comparisons = (
        ("requests failed", challenger.failed, champion.failed, rate / 2),
        (slow, challenger.slow, champion.slow, rate / 8),
        ("requests were rejected", challenger.rejected, champion.rejected, rate / 8),
    )
    limits = (
        ("requests failed", challenger.failed, settings.max_error_rate, rate / 8),
        (slow, challenger.slow, _SLOW_SHARE, rate / 8),
    )
    return [
        *(
            f"{counts} {event}, of the champion's {others}"
            for event, counts, others, level in comparisons
            if _is_evident(compare_rates(counts, others), level)
        ),
        *(
            f"{counts} {event}, more than {limit:.3g}"
            for event, counts, limit, level in limits
            if _is_evident(exceed_rate(counts, limit), level)
        ),
    ]


def _is_evident(evidence: Floats, level: float) -> bool:
    return bool(evidence.max(initial=0.0) >= 1 / level)


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
