"""Whether a challenger may have more requests: what Prometheus counted, and what the service itself answers."""

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

from lifecycle import contract
from lifecycle.contract import LifecycleError
from lifecycle.gitops.manifests import CHALLENGER, Lineage, service
from lifecycle.promotion.registry import Registry
from lifecycle.rollout.settings import RolloutSettings

_IMPATIENCE = 10.0  # seconds for an answer of Prometheus, or of a service about itself
_SHORTEST_WINDOW = 5  # seconds; a range that holds fewer than two scrapes says nothing
_ENDPOINTS = "predict|predict_v1|infer_v2"  # lifecycle.serving names its endpoints so in its metrics
_HELD_OUT = "evaluation/held-out.parquet"  # where a training run keeps them

Rows = Sequence[Mapping[str, Any]]


class Grade(Enum):
    """GOOD and BAD are known; UNKNOWN is neither, and becomes BAD when it lasts."""

    GOOD = "good"
    UNKNOWN = "unknown"
    BAD = "bad"


@dataclass(frozen=True)
class Judgement:
    grade: Grade
    reasons: Sequence[str] = field(default_factory=tuple)


class Guardrails:
    """Judges one version in one role. `rows` gives the features of test predictions for a version."""

    def __init__(self, settings: RolloutSettings, rows: Callable[[Lineage, int], Rows]) -> None:
        self._settings = settings
        self._rows = rows
        self._client = httpx.Client(timeout=_IMPATIENCE)

    def judge(self, lineage: Lineage, *, requests_for: float | None) -> Judgement:
        """The challenger now; `requests_for` says for how many seconds it has had requests, None that it has none."""
        probed = self.probe(lineage, CHALLENGER)
        if probed.grade is Grade.BAD or requests_for is None:
            return probed
        try:
            return self._measure(lineage, max(_SHORTEST_WINDOW, math.ceil(requests_for)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            where = f"Prometheus does not answer at {self._settings.prometheus} ({type(error).__name__})"
            return Judgement(Grade.UNKNOWN, [f"{where}: start it, or set ROLLOUT_PROMETHEUS to where it is"])

    def probe(self, lineage: Lineage, role: str) -> Judgement:
        """Readiness, then test predictions, asked of the role's service itself."""
        address = self._settings.service_url.format(
            service=service(lineage.model, role), namespace=self._settings.namespace
        )
        if not self._ready(address):
            settings = self._settings
            asked = f"{settings.ready_tries} times, {settings.ready_pause:g} s apart"
            return Judgement(Grade.BAD, [f"{address}/ready did not say yes for version {lineage.version}: {asked}"])
        try:
            rows = self._rows(lineage, self._settings.predictions)
        except LifecycleError as error:
            return Judgement(Grade.UNKNOWN, [f"there is nothing to predict: {error}"])
        if len(rows) < self._settings.predictions:
            return Judgement(Grade.BAD, [f"the run held out {len(rows)} rows, too few for the test predictions"])
        features = self._features(address, lineage)
        picked = ({name: row.get(name) for name in features} for row in rows)
        faults = (self._mispredicted(address, lineage, row) for row in picked)
        fault = next(filter(None, faults), "")
        return Judgement(Grade.BAD, [fault]) if fault else Judgement(Grade.GOOD)

    def _ready(self, address: str) -> bool:
        for attempt in range(self._settings.ready_tries):
            if attempt:
                time.sleep(self._settings.ready_pause)
            try:
                if self._client.get(f"{address}/ready").status_code == httpx.codes.OK:
                    return True
            except httpx.HTTPError:
                continue
        return False

    def _features(self, address: str, lineage: Lineage) -> Sequence[str]:
        """The names of what the model takes, as the service says; held-out rows have more columns."""
        try:
            inputs = self._client.get(f"{address}/v2/models/{lineage.model}").json()["inputs"]
            return [str(column["name"]) for column in inputs]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _mispredicted(self, address: str, lineage: Lineage, row: Mapping[str, Any]) -> str:
        """What is wrong with the answer to one test prediction; empty when nothing is."""
        body = {"features": row, "user_id": "groundwork-rollout"}
        begun = time.monotonic()
        try:
            reply = self._client.post(f"{address}/predict", json=body, timeout=self._settings.p95)
        except httpx.HTTPError as error:
            return f"a test prediction got no answer within {self._settings.p95:g} s ({type(error).__name__})"
        taken = time.monotonic() - begun
        if reply.status_code != httpx.codes.OK:
            return f"a test prediction was answered with status {reply.status_code}"
        if taken > self._settings.p95:
            return f"a test prediction took {taken:.2f} s, more than {self._settings.p95:g} s"
        return _fault(reply, lineage)

    def _measure(self, lineage: Lineage, window: int) -> Judgement:
        settings = self._settings
        labels = f'model="{lineage.model}",version="{lineage.version}",endpoint=~"{_ENDPOINTS}"'
        requests = f"sum(increase(groundwork_requests_total{{{labels}}}[{window}s]))"
        failed = f'sum(increase(groundwork_requests_total{{{labels},status=~"5.."}}[{window}s])) or vector(0)'
        buckets = f"sum by (le) (rate(groundwork_request_seconds_bucket{{{labels}}}[{window}s]))"
        pods = f'namespace="{settings.namespace}",pod=~"{service(lineage.model, CHALLENGER)}-.*"'
        restarts = f"sum(increase(kube_pod_container_status_restarts_total{{{pods}}}[{window}s]))"

        counted = self._ask(requests)
        if counted is None or counted < settings.requests:
            seen = "none" if counted is None else f"{counted:.0f}"
            return Judgement(Grade.UNKNOWN, [f"{seen} of {settings.requests} requests seen in {window} s"])
        limits: list[tuple[str, str, float]] = [
            ("error rate", f"({failed}) / {requests}", settings.error_rate),
            ("p95 in seconds", f"histogram_quantile(0.95, {buckets})", settings.p95),
        ]
        if settings.restarts is not None:
            limits.append(("restarts", restarts, settings.restarts))
        return _worst([_held(name, self._ask(query), limit) for name, query, limit in limits])

    def _ask(self, query: str) -> float | None:
        """The value of an instant query; None when Prometheus has none. Raises httpx.HTTPError.

        https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
        """
        reply = self._client.get(f"{self._settings.prometheus.rstrip('/')}/api/v1/query", params={"query": query})
        reply.raise_for_status()
        try:
            (series,) = reply.json()["data"]["result"]
            value = float(series["value"][1])
        except (ValueError, KeyError, TypeError):
            return None
        return None if math.isnan(value) else value


def held_out(registry: Registry) -> Callable[[Lineage, int], Rows]:
    """The first rows that a version's run held out, all columns; read once per version. Raises LifecycleError."""
    known: dict[Lineage, Rows] = {}

    def rows(lineage: Lineage, number: int) -> Rows:
        if lineage not in known:
            with tempfile.TemporaryDirectory() as folder:
                uri = f"runs:/{lineage.run_id}/{_HELD_OUT}"
                file = contract.download(registry.client, uri, Path(folder))
                try:
                    frame = pd.read_parquet(file).head(number)
                except (OSError, ValueError):
                    raise LifecycleError(f"the artifact {uri} is no Parquet file that can be read") from None
            known[lineage] = json.loads(frame.to_json(orient="records"))
        return known[lineage]

    return rows


def _fault(reply: httpx.Response, lineage: Lineage) -> str:
    try:
        answer = reply.json()
        predictions = answer["predictions"]
    except (ValueError, KeyError, TypeError):
        return "a test prediction was answered without predictions"
    if str(answer.get("version")) != lineage.version:
        return f"a test prediction was answered by version {answer.get('version')}, not {lineage.version}"
    sound = isinstance(predictions, list) and len(predictions) == 1
    if not sound or any(isinstance(value, float) and not math.isfinite(value) for value in predictions):
        return "a test prediction was not one finite value"
    return ""


def _held(name: str, value: float | None, limit: float) -> Judgement:
    if value is None:
        return Judgement(Grade.UNKNOWN, [f"Prometheus has no {name}"])
    if value > limit:
        return Judgement(Grade.BAD, [f"{name} is {value:.3g}, more than {limit:g}"])
    return Judgement(Grade.GOOD)


def _worst(judgements: Sequence[Judgement]) -> Judgement:
    for grade in (Grade.BAD, Grade.UNKNOWN):
        reasons = [reason for judgement in judgements if judgement.grade is grade for reason in judgement.reasons]
        if reasons:
            return Judgement(grade, reasons)
    return Judgement(Grade.GOOD)
