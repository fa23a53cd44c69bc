"""Scores of predictions, over all held-out rows and on each named slice of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifecycle.core import LifecycleError

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"  # the column with the true class, 0 or 1
_CLASSES = frozenset((0, 1))
_SHOWN = 3  # values that a message quotes


class ScoringError(LifecycleError):
    """The predictions are not those of a binary classifier, or the rows do not have the true classes."""


def score(held_out: pd.DataFrame, predictions: Sequence[float], slices: Sequence[str]) -> dict[str, float]:
    """Metrics of predictions (0 or 1 per row) against the column `target`, each in 0..1.

    `accuracy`; `precision`, `recall` and `f1` of class 1; `<slice>/<value>/accuracy` for each value of a slice's
    column. Raises ScoringError.
    """
    import pandas as pd  # both take seconds to import, and most importers of this package score nothing
    from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

    missing = [column for column in (TARGET, *slices) if column not in held_out]
    if missing:
        raise ScoringError(f"The held-out data has no column {', '.join(missing)}, which the gate scores by.")
    if len(predictions) != len(held_out):
        raise ScoringError(f"The model returns {len(predictions)} predictions for {len(held_out)} held-out rows.")
    truth, predicted = held_out[TARGET], pd.Series(list(predictions), index=held_out.index)
    _check_classes(f"The column `{TARGET}` of the held-out data has", truth)
    _check_classes("The model predicts", predicted)
    metrics = {
        "accuracy": accuracy_score(truth, predicted),
        "precision": precision_score(truth, predicted, zero_division=0),
        "recall": recall_score(truth, predicted, zero_division=0),
        "f1": f1_score(truth, predicted, zero_division=0),
    }
    for column in slices:
        for value, mean in (truth == predicted).groupby(held_out[column]).mean().items():
            metrics[f"{column}/{value}/accuracy"] = mean
    return {name: float(value) for name, value in metrics.items()}


def _check_classes(subject: str, values: pd.Series) -> None:
    others = sorted({str(value) for value in values.unique() if value not in _CLASSES})
    if others:
        raise ScoringError(
            f"{subject} {len(others)} values that are neither 0 nor 1 ({', '.join(others[:_SHOWN])}): the gate scores "
            "binary classifiers, with the classes 0 and 1."
        )
