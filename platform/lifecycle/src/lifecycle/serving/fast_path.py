"""Predictions without scikit-learn's overhead, which takes nearly all of the time for few rows.

A forest's predict checks the rows once per tree and submits every tree to joblib; a linear model's checks take many
times as long as its sum. Here a pipeline's steps run as bare loops and array operations (`tree_ensembles`,
`linear_models`), with the same sums in the same order, so that results are equal to the last bit. `accelerate` verifies
that for each model. Other models, and rows that are not plain finite numbers, are left to the estimator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from lifecycle.serving import linear_models, tree_ensembles
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.tree_ensembles import Array

Call = Callable[[Any], Any]

_MAX_ROWS = 256  # of one call: an ensemble holds a number per row, tree and class; at 1000 rows predict is as fast
_TEST_ROWS = 64  # rows on which both paths must agree, besides the example


def accelerate(estimator: Any, method: str, example: Any) -> Call:
    """The estimator's own method, or a faster equivalent if there is one.

    The equivalent must agree exactly on the example, and on rows derived from it: around it, and for trees also on
    their thresholds.
    """
    own: Call = getattr(estimator, method)
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    name = type(steps[-1]).__name__
    try:
        fast_path = _build(steps, method)
        problem = fast_path.find_difference(own, example) if fast_path else ""
    except Exception as error:  # an optimization must not fail a model that can be served without it
        fast_path, problem = None, type(error).__name__
    if problem:
        LOGGER.warning(f"{name} predicts with its own {method}; the fast path is not used", extra={"reason": problem})
    elif fast_path is None:
        LOGGER.info(f"{name} predicts with its own {method}; it has no fast path")
    else:
        LOGGER.info(f"{name} predicts with the fast path of {method}")
        return fast_path
    return own


@dataclass(frozen=True)
class _Step:
    """A fast step of a pipeline; data that it does not support is passed to the step's own method.

    bits  32 for trees, which read every number in this precision; 64 for sums, which other types would change
    """

    estimator: Any
    own: Call
    fast: Callable[[Array], Array]
    bits: int

    def __call__(self, data: Any) -> Any:
        rows = self.to_rows(data)
        return self.own(data) if rows is None else self.fast(rows)

    def to_rows(self, data: Any) -> Array | None:
        """Plain rows; None for data that the estimator itself must check, or may reject."""
        if isinstance(data, pd.DataFrame):
            dtypes = set(data.dtypes)
            if list(data.columns) != list(getattr(self.estimator, "feature_names_in_", ())):
                return None
        elif type(data) is np.ndarray:
            dtypes = {data.dtype}
        else:
            return None
        if not all(map(self._supports, dtypes)):
            return None
        if data.ndim != 2 or data.shape[1] != self.estimator.n_features_in_ or not 0 < len(data) <= _MAX_ROWS:
            return None
        with np.errstate(over="ignore"):
            rows = np.asarray(data, dtype=np.float32, order="C") if self.bits == 32 else np.asarray(data)
        return rows if np.isfinite(rows).all() else None

    def agrees(self, data: Any) -> bool:
        """Whether both paths agree on rows around these; true if only the step's own method is used."""
        rows = self.to_rows(data)
        if rows is None:
            return True
        tests = _rows_on_thresholds(self.estimator, rows) if self.bits == 32 else _rows_around(rows)
        names = getattr(self.estimator, "feature_names_in_", None)
        return _equal(self.own(tests if names is None else pd.DataFrame(tests, columns=names)), self.fast(tests))

    def _supports(self, dtype: Any) -> bool:
        if not isinstance(dtype, np.dtype):
            return False
        return dtype.kind in "biuf" if self.bits == 32 else dtype == np.float64


class _FastPath:
    """A pipeline's steps one after the other, with the fast ones where they exist."""

    def __init__(self, first: Sequence[Call], last: _Step) -> None:
        self._first = first
        self._last = last

    def __call__(self, data: Any) -> Any:
        for step in self._first:
            data = step(data)
        return self._last(data)

    def find_difference(self, own: Call, example: Any) -> str:
        """Why this must not replace `own`; empty if it may."""
        data, equal = example, True
        for step in self._first:
            equal = equal and (not isinstance(step, _Step) or step.agrees(data))
            data = step(data)
        if self._last.to_rows(data) is None:
            return "the example has no plain finite rows to compare on"
        equal = equal and self._last.agrees(data) and _equal(own(example), self._last(data))
        return "" if equal else "the predictions differ"


def _build(steps: Sequence[Any], method: str) -> _FastPath | None:
    last = _build_step(steps[-1], method)
    if last is None:
        return None
    first = [step for step in steps[:-1] if step not in (None, "passthrough")]
    return _FastPath([_build_step(step, "transform") or step.transform for step in first], last)


def _build_step(estimator: Any, method: str) -> _Step | None:
    candidates = ((tree_ensembles.find(estimator, method), 32), (linear_models.find(estimator, method), 64))
    for fast, bits in candidates:
        if fast is not None:
            return _Step(estimator, getattr(estimator, method), fast, bits)
    return None


def _rows_on_thresholds(ensemble: Any, rows: Array) -> Array:
    """The example's rows with features moved onto the trees' thresholds, and next to them."""
    random = np.random.default_rng(0)
    tests = np.resize(rows, (_TEST_ROWS, rows.shape[1]))
    trees = [tree.tree_ for tree in np.ravel(ensemble.estimators_)]
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    for feature in np.unique(features[features >= 0]):
        values = thresholds[(features == feature) & np.isfinite(thresholds)].astype(np.float32)
        if len(values):
            on = random.choice(values, _TEST_ROWS)
            beside = np.nextafter(on, random.choice(np.array((-np.inf, np.inf), dtype=np.float32), _TEST_ROWS))
            tests[:, feature] = np.where(random.random(_TEST_ROWS) < 0.5, on, beside)
    return tests


def _rows_around(rows: Array) -> Array:
    """The example's rows, with each value scaled at random; the first row all zeros."""
    shape = (_TEST_ROWS, rows.shape[1])
    tests = np.resize(rows, shape) * np.random.default_rng(0).normal(1, 2, shape)
    tests[0] = 0
    return tests


def _equal(one: Any, other: Any) -> bool:
    return bool(one.dtype == other.dtype and np.array_equal(one, other))
