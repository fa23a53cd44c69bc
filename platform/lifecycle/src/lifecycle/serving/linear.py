"""Linear models' predictions, and the scaling before them, as the few array operations that they are.

They are scikit-learn's own expressions, in its order, without its checks of what it is given. One row of the breast
cancer data through a scaled logistic regression, on one core: 0.327 ms by its own predict, 0.005 ms by the sums,
0.015 ms with the look at the row that `fast` takes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn import linear_model
from sklearn.preprocessing import StandardScaler
from sklearn.utils.extmath import softmax

from lifecycle.serving.walks import Array

Sums = Callable[[Array], Array]  # finite rows of 64-bit floats to predictions, or to rows for the next step


def find(estimator: Any, method: str) -> Sums | None:
    """What gives the same as the estimator's method; None where there is nothing."""
    make = _KINDS.get((type(estimator), method))
    return make(estimator) if make else None


def _scaled(scaler: Any) -> Sums | None:
    mean, scale = scaler.mean_ if scaler.with_mean else None, scaler.scale_ if scaler.with_std else None
    if not scaler.copy:
        return None  # it would change the rows that it is given

    def transform(rows: Array) -> Array:
        if mean is not None:
            rows = rows - mean
        return rows if scale is None else rows / scale

    return transform


def _number(model: Any) -> Sums:
    weights, start = model.coef_.T, model.intercept_
    return lambda rows: rows @ weights + start


def _scores(model: Any) -> Sums:
    """One score per row of two classes, one per row and class of more."""
    sums = _number(model)

    def scores(rows: Array) -> Array:
        found = sums(rows)
        return found.reshape(-1) if found.shape[1] == 1 else found

    return scores


def _class(model: Any) -> Sums:
    scores, classes = _scores(model), np.asarray(model.classes_)

    def predict(rows: Array) -> Array:
        found = scores(rows)
        return classes.take((found > 0).astype(np.intp) if found.ndim == 1 else np.argmax(found, axis=1))

    return predict


def _probabilities(model: Any) -> Sums:
    scores = _scores(model)
    if len(model.classes_) > 2:
        return lambda rows: softmax(scores(rows), copy=False)

    def predict(rows: Array) -> Array:
        second = expit(scores(rows))
        return np.vstack([1 - second, second]).T

    return predict


# Exact types: a subclass may predict otherwise.
_KINDS: Mapping[tuple[type, str], Callable[[Any], Sums | None]] = {
    (StandardScaler, "transform"): _scaled,
    (linear_model.LogisticRegression, "predict"): _class,
    (linear_model.LogisticRegression, "predict_proba"): _probabilities,
    **{
        (kind, "predict"): _number
        for kind in (
            linear_model.LinearRegression,
            linear_model.Ridge,
            linear_model.Lasso,
            linear_model.ElasticNet,
        )
    },
}
