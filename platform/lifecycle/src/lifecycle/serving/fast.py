"""Predictions without scikit-learn's work around them, which for few rows is nearly all of it.

A forest's own predict checks the rows once per tree and hands every tree to joblib; a linear model's checks take
many times as long as its sum. Here a pipeline's steps run as bare loops and array operations (`walks`, `linear`),
with the same sums in the same order, so that what comes out is equal to the last bit. `faster` proves that for every
model that it takes; it leaves all others, and all rows that are not plain finite numbers, to the estimator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from lifecycle.serving import linear, walks
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.walks import Array

Call = Callable[[Any], Any]

_MOST_ROWS = 256  # of one call: a walk holds a number per row, tree and class; at 1000 own predict is as fast
_TRIED = 64  # rows on which both ways must agree, beside the example


def faster(estimator: Any, method: str, example: Any) -> Call:
    """The estimator's own method, or one that gives the same sooner, where there is one and it proves equal here.

    It has to agree exactly on the example, and on rows made of it: around it, and for trees on their boundaries.
    """
    own: Call = getattr(estimator, method)
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    kind = type(steps[-1]).__name__
    try:
        shortcut = _shortcut(steps, method)
        problem = shortcut.problem(own, example) if shortcut else ""
    except Exception as error:  # a model that serves must not fail for what only makes it faster
        shortcut, problem = None, type(error).__name__
    if problem:
        LOGGER.warning(f"{kind} predicts by its own {method}, not by what is faster", extra={"why": problem})
    elif shortcut is None:
        LOGGER.info(f"{kind} predicts by its own {method}")
    else:
        LOGGER.info(f"{kind} predicts by what is faster than its own {method}")
        return shortcut
    return own


@dataclass(frozen=True)
class _Step:
    """A step of a pipeline by what is faster; what that is not made for goes to the step's own method.

    bits  32 for trees, which read every number as such; 64 for sums, which other numbers would change
    """

    estimator: Any
    own: Call
    quick: Callable[[Array], Array]
    bits: int

    def __call__(self, data: Any) -> Any:
        rows = self.rows(data)
        return self.own(data) if rows is None else self.quick(rows)

    def rows(self, data: Any) -> Array | None:
        """Plain rows; None for what the estimator itself has to check, or may refuse."""
        if isinstance(data, pd.DataFrame):
            kinds = set(data.dtypes)
            if list(data.columns) != list(getattr(self.estimator, "feature_names_in_", ())):
                return None
        elif type(data) is np.ndarray:
            kinds = {data.dtype}
        else:
            return None
        if not all(map(self._reads, kinds)):
            return None
        if data.ndim != 2 or data.shape[1] != self.estimator.n_features_in_ or not 0 < len(data) <= _MOST_ROWS:
            return None
        with np.errstate(over="ignore"):
            rows = np.asarray(data, dtype=np.float32, order="C") if self.bits == 32 else np.asarray(data)
        return rows if np.isfinite(rows).all() else None

    def agrees(self, data: Any) -> bool:
        """Whether both ways give the same for rows around these, which they do where only its own way is taken."""
        rows = self.rows(data)
        if rows is None:
            return True
        tried = _boundaries(self.estimator, rows) if self.bits == 32 else _around(rows)
        names = getattr(self.estimator, "feature_names_in_", None)
        return _same(self.own(tried if names is None else pd.DataFrame(tried, columns=names)), self.quick(tried))

    def _reads(self, kind: Any) -> bool:
        if not isinstance(kind, np.dtype):
            return False
        return kind.kind in "biuf" if self.bits == 32 else kind == np.float64


class _Shortcut:
    """A pipeline's steps one after the other, those of them faster for which there is a way."""

    def __init__(self, before: Sequence[Call], last: _Step) -> None:
        self._before = before
        self._last = last

    def __call__(self, data: Any) -> Any:
        for step in self._before:
            data = step(data)
        return self._last(data)

    def problem(self, own: Call, example: Any) -> str:
        """Why this must not stand in for `own`; empty when it may."""
        data, equal = example, True
        for step in self._before:
            equal = equal and (not isinstance(step, _Step) or step.agrees(data))
            data = step(data)
        if self._last.rows(data) is None:
            return "the example has no plain finite rows to prove it on"
        equal = equal and self._last.agrees(data) and _same(own(example), self._last(data))
        return "" if equal else "they do not give the same"


def _shortcut(steps: Sequence[Any], method: str) -> _Shortcut | None:
    last = _step(steps[-1], method)
    if last is None:
        return None
    before = [step for step in steps[:-1] if step not in (None, "passthrough")]
    return _Shortcut([_step(step, "transform") or step.transform for step in before], last)


def _step(estimator: Any, method: str) -> _Step | None:
    for found, bits in ((walks.find(estimator, method), 32), (linear.find(estimator, method), 64)):
        if found is not None:
            return _Step(estimator, getattr(estimator, method), found, bits)
    return None


def _boundaries(last: Any, rows: Array) -> Array:
    """The example's rows with features moved onto the trees' thresholds, and next to them."""
    random = np.random.default_rng(0)
    tried = np.resize(rows, (_TRIED, rows.shape[1]))
    trees = [tree.tree_ for tree in np.ravel(last.estimators_)]
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    for feature in np.unique(features[features >= 0]):
        values = thresholds[(features == feature) & np.isfinite(thresholds)].astype(np.float32)
        if len(values):
            on = random.choice(values, _TRIED)
            beside = np.nextafter(on, random.choice(np.array((-np.inf, np.inf), dtype=np.float32), _TRIED))
            tried[:, feature] = np.where(random.random(_TRIED) < 0.5, on, beside)
    return tried


def _around(rows: Array) -> Array:
    """The example's rows, each value made larger, smaller, or of the other sign; the first of them all zeros."""
    tried = np.resize(rows, (_TRIED, rows.shape[1])) * np.random.default_rng(0).normal(1, 2, (_TRIED, rows.shape[1]))
    tried[0] = 0
    return tried


def _same(one: Any, other: Any) -> bool:
    return bool(one.dtype == other.dtype and np.array_equal(one, other))
