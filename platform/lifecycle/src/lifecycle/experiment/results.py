"""Joins an experiment's predictions with their outcomes, by request ID.

If an outcome was reported twice, the first one counts. A late outcome is one that arrived after the experiment's
window. An outcome whose time is before its prediction's comes from another router's clock, and counts. An outcome that
is not a finite number does not count: the router refuses it, so something else has written it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifecycle.experiment.records import Outcome, Prediction, Result


@dataclass(frozen=True)
class Joined:
    """A prediction with its outcomes, keyed by name. Missing outcomes may still arrive."""

    prediction: Prediction
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True)
class Join:
    """Predictions by time, and how many records did not count.

    repeated_predictions  a client used a request ID again
    repeated_outcomes     the prediction already had an outcome of this name
    late_outcomes         arrived after the window
    unmatched_outcomes    without a prediction: the request is unknown, or its record was lost
    invalid_outcomes      NaN, infinite, or not a number
    """

    rows: list[Joined]
    repeated_predictions: int
    repeated_outcomes: int
    late_outcomes: int
    unmatched_outcomes: int
    invalid_outcomes: int


def join(results: Iterable[Result], window: float) -> Join:
    """Join in memory; `window` is the seconds after a prediction in which its outcomes count."""
    predictions: dict[str, Prediction] = {}
    outcomes: list[Outcome] = []
    dropped: Counter[str] = Counter()
    for result in sorted(results, key=lambda result: result.time):
        if isinstance(result, Outcome):
            if _is_finite(result.value):
                outcomes.append(result)
            else:
                dropped["invalid"] += 1
        elif result.request_id in predictions:
            dropped["repeated-prediction"] += 1
        else:
            predictions[result.request_id] = result
    matched: dict[str, dict[str, Outcome]] = {}
    for outcome in outcomes:
        prediction = predictions.get(outcome.request_id)
        known = matched.setdefault(outcome.request_id, {})
        if prediction is None:
            dropped["unmatched"] += 1
        elif outcome.time - prediction.time > window:
            dropped["late"] += 1
        elif outcome.name in known:
            dropped["repeated"] += 1
        else:
            known[outcome.name] = outcome
    rows = [Joined(prediction, matched.get(request_id, {})) for request_id, prediction in predictions.items()]
    return Join(
        rows,
        dropped["repeated-prediction"],
        dropped["repeated"],
        dropped["late"],
        dropped["unmatched"],
        dropped["invalid"],
    )


def _is_finite(value: object) -> bool:
    """A stored value need not have the declared type: JSON has null for NaN."""
    return isinstance(value, int | float) and math.isfinite(value)
