"""Exemplars of response times: a trace for each bucket of the histogram, the latest one of any worker.

prometheus_client does not support them with several processes. Each worker writes its own to a file beside its counts,
at most once a second; the worker that answers Prometheus reads the files of all.
"""

from __future__ import annotations

import json
import math
import os
import time
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
"""The buckets of response times."""

_BOUNDS = [floatToGoString(bound) for bound in (*SECONDS, math.inf)]  # type: ignore[no-untyped-call]
_INTERVAL = 1.0  # seconds between two writes of a worker
_PREFIX = "exemplars_"

Exemplars = Mapping[tuple[str, str], Exemplar]
"""Keyed by endpoint and bucket."""


class ExemplarWriter:
    """The exemplars of this process; used in one thread."""

    def __init__(self) -> None:
        self._path = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"{_PREFIX}{os.getpid()}.json")
        self._latest: dict[str, list[object]] = {}
        self._written = 0.0

    def record(self, endpoint: str, seconds: float, labels: Mapping[str, str]) -> None:
        bound = _BOUNDS[bisect_left(SECONDS, seconds)]
        now = time.time()
        self._latest[f"{endpoint} {bound}"] = [dict(labels), seconds, now]
        if now - self._written < _INTERVAL:
            return
        self._written = now
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self._latest))
        draft.replace(self._path)


def read_exemplars(folder: Path) -> Exemplars:
    """The latest exemplars of all processes."""
    found: dict[tuple[str, str], Exemplar] = {}
    for path in folder.glob(f"{_PREFIX}*.json"):
        for key, (labels, seconds, at) in json.loads(path.read_text()).items():
            endpoint, _, bound = key.partition(" ")
            known = found.get((endpoint, bound))
            if known is None or known.timestamp < at:
                found[endpoint, bound] = Exemplar(labels, seconds, at)
    return found


def add_exemplar(sample: Sample, exemplars: Exemplars) -> Sample:
    """The sample of a bucket with its exemplar, if there is one."""
    key = (sample.labels.get("endpoint", ""), sample.labels.get("le", ""))
    return sample._replace(exemplar=exemplars[key]) if key in exemplars else sample
