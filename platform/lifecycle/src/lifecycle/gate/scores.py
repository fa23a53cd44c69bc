"""Scores of predictions, over all held-out rows and on each named slice of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

TARGET = "target"  # the column with the true class, 0 or 1


def score(held_out: pd.DataFrame, predictions: Sequence[float], slices: Sequence[str]) -> dict[str, float]:
    """Metrics of predictions (0 or 1 per row) against the column `target`, each in 0..1.

    `accuracy`; `precision`, `recall` and `f1` of class 1; `<slice>/<value>/accuracy` for each value of a slice's
    column.
    """
    truth, predicted = held_out[TARGET], pd.Series(list(predictions), index=held_out.index)
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
