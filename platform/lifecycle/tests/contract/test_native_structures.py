"""Models whose arrays would make native code read other memory are rejected, and fitted models of every kind are not.

The models are scikit-learn's, changed after fitting in the ways in which a skops file can be changed. Not proven: what
happens while skops builds the objects, before any check of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from mlflow.models import infer_signature
from scipy import sparse
from sklearn.cluster import AffinityPropagation, KMeans
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomTreesEmbedding,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, ExtraTreeRegressor

from lifecycle import contract
from lifecycle.contract import ContractError
from lifecycle.contract.native_structures import NativeStructureError, check_native_structures
from lifecycle.core import ModelVersion
from lifecycle.serving import model as models
from lifecycle.serving.model_source import DownloadedModel, ModelError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4))
CLASSES, TWO = np.arange(60) % 3, np.arange(60) % 2
TREE = "sklearn.tree._tree.Tree"


FITTED = [
    RandomForestClassifier(3),
    RandomForestClassifier(3, max_leaf_nodes=6),
    ExtraTreesRegressor(3),
    GradientBoostingClassifier(n_estimators=3),
    GradientBoostingRegressor(n_estimators=3, max_leaf_nodes=4),
    DecisionTreeClassifier(),
    ExtraTreeRegressor(),
    IsolationForest(n_estimators=3, max_features=0.5),
    BaggingClassifier(max_features=0.5),
    AdaBoostClassifier(n_estimators=3),
    RandomTreesEmbedding(3),
    VotingClassifier([("machine", SVC()), ("tree", DecisionTreeClassifier())]),
    SVC(),
    SVC(kernel="linear"),
    NuSVC(nu=0.1),
    SVR(),
    OneClassSVM(),
    KNeighborsClassifier(algorithm="brute"),
    KNeighborsRegressor(),
    RadiusNeighborsClassifier(radius=9),
    KMeans(3),
    AffinityPropagation(),
    GradientBoostingClassifier(n_estimators=3, init="zero"),
    GradientBoostingRegressor(n_estimators=3, init=SVR()),
    LogisticRegression(),
]


@pytest.mark.parametrize("target", [CLASSES, TWO], ids=["three classes", "two classes"])
@pytest.mark.parametrize("estimator", FITTED, ids=str)
def test_a_fitted_model_is_accepted(estimator: Any, target: Any) -> None:
    check_native_structures(make_pipeline(StandardScaler(), estimator).fit(X, target))


@pytest.mark.parametrize("estimator", [SVC(), SVR(), KNeighborsClassifier(), LogisticRegression()], ids=str)
def test_a_model_fitted_with_a_sparse_matrix_is_accepted(estimator: Any) -> None:
    check_native_structures(estimator.fit(sparse.csr_matrix(X), TWO))


def forest() -> Any:
    return RandomForestClassifier(2, random_state=0).fit(X, CLASSES)


def change_tree(change: Callable[[Any], object]) -> Callable[[], Any]:
    def build() -> Any:
        model = forest()
        change(model.estimators_[1].tree_)
        return model

    return build


def change_attribute(model: Any, name: str, change: Callable[[Any], Any]) -> Callable[[], Any]:
    def build() -> Any:
        model.fit(X, CLASSES)
        setattr(model, name, change(getattr(model, name)))
        return model

    return build


def assign(array: Any, index: int, value: Any) -> None:
    array[index] = value


def sparse_coefficients() -> Any:
    model = LogisticRegression().fit(X, CLASSES).sparsify()
    model.coef_.indices[0] = 10**6
    return model


def wider_tree(ensemble: Any) -> Callable[[], Any]:
    """A tree for more features than the ensemble checks that a row has."""

    def build() -> Any:
        model = ensemble.fit(X, TWO)
        other = type(ensemble)(**ensemble.get_params()).fit(np.hstack([X, X]), TWO)
        np.ravel(model.estimators_)[0].tree_ = np.ravel(other.estimators_)[0].tree_
        np.ravel(model.estimators_)[0].n_features_in_ = 8
        return model

    return build


INCONSISTENT: dict[str, tuple[Callable[[], Any], str]] = {
    "child beyond the nodes": (change_tree(lambda tree: assign(tree.children_left, 0, 10**6)), "not a later node"),
    "right child beyond the nodes": (change_tree(lambda tree: assign(tree.children_right, 0, 2**40)), "not a later"),
    "negative child": (change_tree(lambda tree: assign(tree.children_right, 0, -5)), "not a later node"),
    "a leaf's child": (
        change_tree(lambda tree: assign(tree.children_left, int(tree.node_count) - 1, 0)),
        "not a later",
    ),
    "no right child": (change_tree(lambda tree: assign(tree.children_right, 0, -1)), "not a later node"),
    "a loop": (change_tree(lambda tree: assign(tree.children_left, 0, 0)), "not a later node"),
    "feature beyond the row": (change_tree(lambda tree: assign(tree.feature, 0, 4)), "tests another feature"),
    "negative feature": (change_tree(lambda tree: assign(tree.feature, 0, -3)), "tests another feature"),
    "more nodes than there are": (change_tree(lambda tree: setattr(tree, "node_count", 10**6)), "claims 1000000"),
    "no nodes": (change_tree(lambda tree: setattr(tree, "node_count", 0)), "claims 0"),
    "wider tree of a forest": (wider_tree(RandomForestClassifier(2)), "of 4 features contains a part for 8"),
    "wider tree of boosting": (wider_tree(GradientBoostingClassifier(n_estimators=2)), "contains a part for 8"),
    "tree of another width": (
        change_attribute(DecisionTreeClassifier(), "n_features_in_", lambda _: 9),
        "of 9 features contains a part for 4",
    ),
    "more support vectors": (change_attribute(SVC(), "_n_support", lambda counts: counts * 1000), "claims"),
    "negative support vectors": (change_attribute(SVC(), "_n_support", lambda counts: counts - 100), "claims"),
    "classes of support vectors": (change_attribute(SVC(), "_n_support", lambda counts: counts[:1]), "_n_support"),
    "narrow support vectors": (
        change_attribute(SVC(), "support_vectors_", lambda vectors: vectors[:, :1].copy()),
        "support_vectors_ of shape",
    ),
    "few coefficients": (
        change_attribute(SVR(), "_dual_coef_", lambda values: values[:, :1].copy()),
        "_dual_coef_ of shape",
    ),
    "few intercepts": (change_attribute(SVC(), "_intercept_", lambda values: values[:1]), "_intercept_ of shape"),
    "probabilities": (change_attribute(SVC(), "_probA", lambda _: np.ones(1)), "_probA of shape"),
    "rows of support vectors": (change_attribute(SVC(), "support_", lambda rows: rows + 1000), "not among them"),
    "narrow neighbours": (
        change_attribute(KNeighborsClassifier(algorithm="brute"), "_fit_X", lambda rows: rows[:, :2]),
        "of 4 features contains a part for 2",
    ),
    "few labels of neighbours": (
        change_attribute(KNeighborsClassifier(algorithm="brute"), "_y", lambda labels: labels[:10]),
        "labels of 60 neighbours",
    ),
    "labels of no class": (
        change_attribute(KNeighborsClassifier(algorithm="brute"), "_y", lambda labels: labels + 1000),
        "labels of 60 neighbours",
    ),
    "narrow clusters": (
        change_attribute(KMeans(3), "cluster_centers_", lambda centers: centers[:, :1].copy()),
        "of 4 features contains a part for 1",
    ),
    "more sums of boosting": (
        change_attribute(
            GradientBoostingClassifier(n_estimators=2), "estimators_", lambda trees: np.hstack([trees] * 9)
        ),
        "27 trees in each stage, whose sums have 3 columns",
    ),
    "sparse coefficients": (sparse_coefficients, "sparse matrix is inconsistent"),
}


@pytest.mark.parametrize(("build", "message"), INCONSISTENT.values(), ids=INCONSISTENT)
def test_an_inconsistent_model_is_rejected_wherever_it_is(build: Callable[[], Any], message: str) -> None:
    model = build()
    with pytest.raises(NativeStructureError, match=message):
        check_native_structures(model)
    with pytest.raises(NativeStructureError, match=message):
        check_native_structures(make_pipeline(StandardScaler(), VotingClassifier([("part", model)])))


@pytest.mark.process
def test_the_contract_and_the_server_reject_a_tree_that_would_end_the_process_for_some_rows(tmp_path: Path) -> None:
    """For the input example the tree predicts well, so that only rows of users would be lost."""
    folder = save_tampered(tmp_path)
    with pytest.raises(ContractError, match="not a later node"):
        contract.check(folder)
    with pytest.raises(ModelError, match=r"wine version 3 cannot be loaded .*not a later node.*Train it again"):
        models.load(DownloadedModel(folder, ModelVersion("wine", "3")), 32)


def save_tampered(tmp_path: Path) -> Path:
    """A model as training saves it, but that the root's right child of one tree does not exist."""
    table = pd.DataFrame({"length": [1.0, 2.0, 3.0, 4.0], "width": [0.5, 0.4, 0.3, 0.2]})
    model = RandomForestClassifier(1, bootstrap=False, max_features=None, random_state=1).fit(table, [0, 0, 1, 1])
    root = model.estimators_[0].tree_
    goes_left = table[table.iloc[:, root.feature[0]] <= root.threshold[0]]
    terms = contract.load()
    folder = tmp_path / "model"
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(table, model.predict(table)),
        input_example=goes_left,
        serialization_format=terms.format,
        skops_trusted_types=[TREE],
        pip_requirements=terms.requirements,
    )
    (file,) = folder.glob("*.skops")
    loaded = skops.io.load(file, trusted=[TREE])
    loaded.estimators_[0].tree_.children_right[0] = 10**6
    skops.io.dump(loaded, file)
    return Path(shutil.move(folder, tmp_path / "tampered"))
