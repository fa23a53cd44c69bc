"""Predictions of linear models, and the scaling before them, as a few array operations.

They are scikit-learn's own expressions, in its order, without its checks of the input; rows are finite 64-bit floats.
One row of the breast cancer data through a scaled logistic regression, on one core: 0.327 ms with its own predict,
0.005 ms with these operations, 0.015 ms including the check of the row in `fast_path`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn import linear_model
from sklearn.preprocessing import StandardScaler
from sklearn.utils.extmath import softmax

from lifecycle.serving.tree_ensembles import Array, ArrayFunction


def find(estimator: Any, method: str) -> ArrayFunction | None:
    """The equivalent of the estimator's method; None if there is none."""
    build = _BUILDERS.get((type(estimator), method))
    return build(estimator) if build else None


def _build_scaler(scaler: Any) -> ArrayFunction | None:
    mean, scale = scaler.mean_ if scaler.with_mean else None, scaler.scale_ if scaler.with_std else None
    if not scaler.copy:
        return None  # it transforms the rows in place

    def transform(rows: Array) -> Array:
        if mean is not None:
            rows = rows - mean
        return rows if scale is None else rows / scale

    return transform


def _build_regression(model: Any) -> ArrayFunction:
    weights, intercept = model.coef_.T, model.intercept_
    return lambda rows: rows @ weights + intercept


def _build_decision_function(model: Any) -> ArrayFunction:
    """One score per row for two classes, one per row and class for more."""
    regression = _build_regression(model)

    def decide(rows: Array) -> Array:
        scores = regression(rows)
        return scores.reshape(-1) if scores.shape[1] == 1 else scores

    return decide


def _build_classifier(model: Any) -> ArrayFunction:
    decide, classes = _build_decision_function(model), np.asarray(model.classes_)

    def predict(rows: Array) -> Array:
        scores = decide(rows)
        return classes.take((scores > 0).astype(np.intp) if scores.ndim == 1 else np.argmax(scores, axis=1))

    return predict


def _build_probabilities(model: Any) -> ArrayFunction:
    decide = _build_decision_function(model)
    if len(model.classes_) > 2:
        return lambda rows: softmax(decide(rows), copy=False)

    def predict(rows: Array) -> Array:
        second = expit(decide(rows))
        return np.vstack([1 - second, second]).T

    return predict


# Exact types: a subclass may predict differently.
_BUILDERS: Mapping[tuple[type, str], Callable[[Any], ArrayFunction | None]] = {
    (StandardScaler, "transform"): _build_scaler,
    (linear_model.LogisticRegression, "predict"): _build_classifier,
    (linear_model.LogisticRegression, "predict_proba"): _build_probabilities,
    **{
        (estimator, "predict"): _build_regression
        for estimator in (
            linear_model.LinearRegression,
            linear_model.Ridge,
            linear_model.Lasso,
            linear_model.ElasticNet,
        )
    },
}
