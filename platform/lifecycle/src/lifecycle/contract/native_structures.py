"""Checks the arrays of a loaded model that native code reads without checking their bounds.

Skops builds only objects of trusted types, but their content comes from the file: if a tree's node names a child that
does not exist, scikit-learn reads other memory, or the process ends. Of the types that the serving contract admits,
trees, boosting, support vectors, nearest neighbours, clusters and sparse matrices have such content.

The module imports nothing from this package, because the probe loads it in an environment that need not have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClusterMixin
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.neighbors._base import NeighborsBase
from sklearn.svm._base import BaseLibSVM
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

_LEAF = -1  # the child of a node without children (sklearn/tree/_tree.pyx, TREE_LEAF)


class NativeStructureError(ValueError):
    """A model's arrays are not consistent; the message says which."""


def check_native_structures(model: Any) -> None:
    """Raises NativeStructureError if predicting could read memory that is not the model's."""
    parts = list(_walk(model))
    for part in parts:
        for kind, attribute, check in _CHECKS:
            if isinstance(part, kind) and hasattr(part, attribute):  # an ensemble also has one that is not fitted
                check(part)
    for part in parts:
        if isinstance(part, BaseGradientBoosting) and hasattr(part, "estimators_"):
            _check_boosting(part)


def _walk(model: Any) -> Iterator[Any]:
    """Every object that a model consists of, once."""
    waiting, seen = [model], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | None):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel() if part.dtype == object else ())
        else:
            waiting.extend(getattr(part, "__dict__", {}).values())


def _check_tree(tree: Any) -> None:
    """Every inner node has two children after itself, so that each path ends, and tests a feature that exists."""
    count = tree.node_count
    if not 1 <= count <= tree.capacity:
        raise NativeStructureError(f"a tree has {tree.capacity} nodes and claims {count}")
    left, right, feature, numbers = tree.children_left, tree.children_right, tree.feature, np.arange(count)
    inner = left != _LEAF
    children = np.concatenate([left[inner], right[inner]])
    if (children <= np.tile(numbers[inner], 2)).any() or (children >= count).any():
        raise NativeStructureError(f"a tree of {count} nodes has a node whose child is not a later node")
    if (feature[inner] < 0).any() or (feature[inner] >= tree.n_features).any():
        raise NativeStructureError(f"a tree of {tree.n_features} features has a node that tests another feature")


def _check_decision_tree(estimator: Any) -> None:
    _check_width(estimator, estimator.tree_.n_features)


def _check_ensemble(ensemble: Any) -> None:
    for tree in np.ravel(ensemble.estimators_):
        _check_width(ensemble, tree.tree_.n_features)


def _check_clusters(clusters: Any) -> None:
    _check_width(clusters, clusters.cluster_centers_.shape[1])


def _check_width(part: Any, width: int) -> None:
    if width != part.n_features_in_:
        name = type(part).__name__
        raise NativeStructureError(f"a {name} of {part.n_features_in_} features contains a part for {width}")


def _check_boosting(boosting: Any) -> None:
    """The trees add to sums with the same number of columns. Predicts with the first estimator, checked before."""
    row = np.zeros((1, boosting.n_features_in_), dtype=np.float32)
    columns = boosting._raw_predict_init(row).shape[1]
    if boosting.estimators_.shape[1] != columns:
        raise NativeStructureError(
            f"boosting has {boosting.estimators_.shape[1]} trees in each stage, whose sums have {columns} columns"
        )


def _check_neighbours(neighbours: Any) -> None:
    rows, width = neighbours._fit_X.shape
    _check_width(neighbours, width)
    if not hasattr(neighbours, "classes_"):
        return
    labels = np.reshape(neighbours._y, (len(neighbours._y), -1))
    classes = neighbours.classes_ if isinstance(neighbours.classes_, list) else [neighbours.classes_]
    known = np.array([len(each) for each in classes])
    if len(labels) != rows or labels.shape[1] != len(known) or (labels < 0).any() or (labels >= known).any():
        raise NativeStructureError(f"the labels of {rows} neighbours are not one of the classes each")


def _check_support_vectors(machine: Any) -> None:
    """The shapes in sklearn/svm/_libsvm.pyx (`predict`); with a precomputed kernel there are no vectors to compare."""
    vectors, counts = machine.support_vectors_, np.asarray(machine._n_support)
    number = len(machine.support_)
    classes = len(machine.classes_) if hasattr(machine, "classes_") else 2
    pairs = classes * (classes - 1) // 2
    expected = {
        "_n_support": (counts.shape, (2 if pairs == 1 else classes,)),
        "_dual_coef_": (machine._dual_coef_.shape, (classes - 1, number)),
        "_intercept_": (np.shape(machine._intercept_), (pairs,)),
        "_probA": (np.shape(machine._probA), (pairs,) if len(machine._probA) else (0,)),
        "_probB": (np.shape(machine._probB), np.shape(machine._probA)),
    }
    if machine.kernel != "precomputed" and not callable(machine.kernel):
        expected["support_vectors_"] = (vectors.shape, (number, machine.n_features_in_))
    for name, (shape, required) in expected.items():
        if shape != required:
            raise NativeStructureError(f"a support vector machine has {name} of shape {shape}, not {required}")
    if (counts < 0).any() or (hasattr(machine, "classes_") and counts.sum() != number):
        raise NativeStructureError(f"a support vector machine has {number} support vectors and claims {counts.sum()}")
    limit = machine.shape_fit_[0]
    if number and (machine.support_.min() < 0 or machine.support_.max() >= limit):
        raise NativeStructureError(f"a support vector machine of {limit} rows names a row that is not among them")


def _check_sparse(matrix: Any) -> None:
    try:
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise NativeStructureError(f"a sparse matrix is inconsistent: {error}") from None


_CHECKS: Sequence[tuple[type | tuple[type, ...], str, Callable[[Any], None]]] = (
    (Tree, "node_count", _check_tree),
    (BaseDecisionTree, "tree_", _check_decision_tree),
    ((BaseForest, BaseGradientBoosting), "estimators_", _check_ensemble),
    (BaseLibSVM, "support_", _check_support_vectors),
    (NeighborsBase, "_fit_X", _check_neighbours),
    (ClusterMixin, "cluster_centers_", _check_clusters),
    ((sparse.csr_matrix, sparse.csc_matrix, sparse.bsr_matrix), "indices", _check_sparse),
    ((sparse.csr_array, sparse.csc_array, sparse.bsr_array), "indices", _check_sparse),
)
