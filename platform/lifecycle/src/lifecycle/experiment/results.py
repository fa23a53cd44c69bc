"""Joins an experiment's predictions with their outcomes, by request ID.

Of what was reported twice, what arrived first counts. A late outcome is one that arrived after the experiment's
window. An outcome whose time is before its prediction's has the clock of another router, and counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifecycle.experiment.records import Outcome, Prediction, Result


@dataclass(frozen=True)
class Joined:
    """A prediction with the values of its outcomes, by name. What is missing may still arrive."""

    prediction: Prediction
    outcomes: Mapping[str, float]


@dataclass(frozen=True)
class Join:
    """Predictions by time, and how many records did not count.

    repeated_predictions  a client used a request ID again
    repeated_outcomes     an outcome of this name was there already
    late_outcomes         arrived after the window
    unmatched_outcomes    of no prediction: of an unknown request, or its record was lost
    """

    rows: list[Joined]
    repeated_predictions: int
    repeated_outcomes: int
    late_outcomes: int
    unmatched_outcomes: int


def join(results: Iterable[Result], window: float) -> Join:
    """Join in memory; `window` in seconds from a prediction in which its outcomes count."""
    predictions: dict[str, Prediction] = {}
    outcomes: list[Outcome] = []
    dropped: Counter[str] = Counter()
    for result in sorted(results, key=lambda result: result.time):
        if isinstance(result, Outcome):
            outcomes.append(result)
        elif result.request_id in predictions:
            dropped["repeated-prediction"] += 1
        else:
            predictions[result.request_id] = result
    values: dict[str, dict[str, float]] = {}
    for outcome in outcomes:
        prediction = predictions.get(outcome.request_id)
        known = values.setdefault(outcome.request_id, {})
        if prediction is None:
            dropped["unmatched"] += 1
        elif outcome.time - prediction.time > window:
            dropped["late"] += 1
        elif outcome.name in known:
            dropped["repeated"] += 1
        else:
            known[outcome.name] = outcome.value
    rows = [Joined(prediction, values.get(request_id, {})) for request_id, prediction in predictions.items()]
    return Join(rows, dropped["repeated-prediction"], dropped["repeated"], dropped["late"], dropped["unmatched"])
