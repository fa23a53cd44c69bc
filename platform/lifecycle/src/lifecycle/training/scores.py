"""How predictions are scored, over all held-out rows and on each named slice of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from lifecycle.training.data import TARGET


def score(held_out: pd.DataFrame, predictions: Sequence[float], slices: Sequence[str]) -> dict[str, float]:
    """Metrics of predictions (0 or 1 per row) against the column `target`, each in 0..1.

    `accuracy`; `precision`, `recall` and `f1` of class 1; `<slice>/<part>/accuracy` for each value of a slice's column.
    """
    truth, guess = held_out[TARGET], pd.Series(list(predictions), index=held_out.index)
    metrics = {
        "accuracy": accuracy_score(truth, guess),
        "precision": precision_score(truth, guess, zero_division=0),
        "recall": recall_score(truth, guess, zero_division=0),
        "f1": f1_score(truth, guess, zero_division=0),
    }
    for column in slices:
        for part, mean in (truth == guess).groupby(held_out[column]).mean().items():
            metrics[f"{column}/{part}/accuracy"] = mean
    return {name: float(value) for name, value in metrics.items()}
