"""Tree ensembles' predictions without scikit-learn's work around them, which for few rows is nearly all of it.

A forest's own predict checks the rows once per tree and hands every tree to joblib. Here one loop walks all trees,
with the same sums in the same order, so that what comes out is equal to the last bit. `faster` proves that for every
model that it takes; it leaves all others, and all rows that are not plain finite numbers, to the estimator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from lifecycle.serving import walks
from lifecycle.serving.logs import LOGGER
from lifecycle.serving.walks import Array, Walk

Call = Callable[[Any], Any]

_MOST_ROWS = 256  # of one walk, which holds a number per row, tree and class; at 1000 own predict is as fast
_TRIED = 64  # rows on which both ways must agree, beside the example


def faster(estimator: Any, method: str, example: Any) -> Call:
    """The estimator's own method, or one that gives the same sooner, where there is one and it proves equal here.

    It has to agree exactly on the example, and on rows made of it that lie on the boundaries of the trees.
    """
    own: Call = getattr(estimator, method)
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    kind = type(steps[-1]).__name__
    try:
        walk = walks.find(steps[-1], method)
        if walk is None:
            LOGGER.info(f"{kind} predicts by its own {method}")
            return own
        shortcut = _Shortcut(steps, method, walk)
        problem = shortcut.problem(own, example)
    except Exception as error:  # a model that serves must not fail for what only makes it faster
        problem = type(error).__name__
    if problem:
        LOGGER.warning(f"{kind} predicts by its own {method}, not by one walk over its trees", extra={"why": problem})
        return own
    LOGGER.info(f"{kind} predicts by one walk over its trees")
    return shortcut


class _Shortcut:
    """The steps before the last as they are, then `walk`; what `walk` is not made for goes to the last step's own."""

    def __init__(self, steps: Sequence[Any], method: str, walk: Walk) -> None:
        self._before = [step for step in steps[:-1] if step not in (None, "passthrough")]
        self._last = steps[-1]
        self._own: Call = getattr(self._last, method)
        self._walk = walk
        self._names = list(getattr(self._last, "feature_names_in_", ()))

    def __call__(self, data: Any) -> Any:
        data = self._prepared(data)
        rows = self._rows(data)
        return self._own(data) if rows is None else self._walk(rows)

    def problem(self, own: Call, example: Any) -> str:
        """Why this must not stand in for `own`; empty when it may."""
        rows = self._rows(self._prepared(example))
        if rows is None:
            return "the example has no plain finite rows to prove it on"
        tried = _boundaries(self._last, rows)
        named = pd.DataFrame(tried, columns=self._names) if self._names else tried
        equal = _same(own(example), self(example)) and _same(self._own(named), self._walk(tried))
        return "" if equal else "they do not give the same"

    def _prepared(self, data: Any) -> Any:
        for step in self._before:
            data = step.transform(data)
        return data

    def _rows(self, data: Any) -> Array | None:
        """The rows as trees read them, in 32 bits; None for what the estimator itself has to check, or may refuse."""
        if isinstance(data, pd.DataFrame):
            kinds = {kind.kind if isinstance(kind, np.dtype) else "O" for kind in data.dtypes}
            if not kinds <= set("biuf") or list(data.columns) != self._names:
                return None
        elif type(data) is not np.ndarray or data.dtype.kind not in "biuf":
            return None
        if data.ndim != 2 or data.shape[1] != self._last.n_features_in_ or not 0 < len(data) <= _MOST_ROWS:
            return None
        with np.errstate(over="ignore"):
            rows = np.asarray(data, dtype=np.float32, order="C")
        return rows if np.isfinite(rows).all() else None


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


def _same(one: Any, other: Any) -> bool:
    return bool(one.dtype == other.dtype and np.array_equal(one, other))
