"""The fast path is equal to the estimator's own predict to the last bit, or not used.

Estimators are fitted here, on random data with narrow margins, so that votes tie and rows are on thresholds. For other
models, `accelerate` verifies it when it loads them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn import ensemble
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lifecycle.core import ModelVersion
from lifecycle.serving import fast_path, linear_models, model, tree_ensembles
from lifecycle.serving.model_source import DownloadedModel
from lifecycle.training.models import FAMILIES
from support.serving import FEATURES

LABELS: dict[str, list[Any]] = {
    "two": [0, 1],
    "three": [0, 1, 2],
    "booleans": [False, True],
    "words": ["benign", "malignant", "unclear"],
    "two words": ["no", "yes"],
    "numbers that are not indices": [-7, 3, 11],
}
CLASSIFIERS = [ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier, ensemble.GradientBoostingClassifier]
REGRESSORS = [ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor, ensemble.GradientBoostingRegressor]


def rows_on_a_grid(seed: int, rows: int = 120, columns: int = 4) -> np.ndarray[Any, Any]:
    """Values repeat, so leaves hold mixed classes, and thresholds halve the steps that other rows then hit."""
    return np.random.default_rng(seed).integers(0, 6, (rows, columns)) / 2.0


def sample_rows(seed: int, columns: int = 4) -> np.ndarray[Any, Any]:
    """Rows on the thresholds (quarters), beside them by less than the resolution of 32 bits, and elsewhere."""
    random = np.random.default_rng(seed + 1000)
    grid = random.integers(-2, 14, (80, columns)) / 4.0
    return np.concatenate(
        [grid, grid + random.choice([-1e-9, 1e-9, 1e-7, -1e-7], grid.shape), random.normal(1, 2, grid.shape)]
    )


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classes_and_probabilities_are_the_estimators_own(kind: Any, method: str, labels: list[Any]) -> None:
    for seed in range(4):
        data = rows_on_a_grid(seed)
        target = np.random.default_rng(seed).choice(labels, len(data))
        depth = 1 + seed * 2
        estimator = kind(n_estimators=4 + 3 * seed, max_depth=depth, random_state=seed).fit(data, target)
        assert_equal(estimator, method, data, sample_rows(seed))


@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressions_are_the_estimators_own(kind: Any) -> None:
    for seed in range(6):
        data = rows_on_a_grid(seed)
        target = np.random.default_rng(seed).normal(size=len(data)) * 10.0 ** (seed - 3)
        assert_equal(kind(n_estimators=17, random_state=seed).fit(data, target), "predict", data, sample_rows(seed))


def test_ties_have_the_class_that_the_forest_itself_predicts() -> None:
    ties = 0
    for seed in range(5):
        data = rows_on_a_grid(seed, rows=24)
        target = np.random.default_rng(seed).choice(["a", "b", "c"], len(data))
        forest = ensemble.RandomForestClassifier(n_estimators=6, random_state=seed).fit(data, target)
        shares = np.sort(forest.predict_proba(sample_rows(seed)), axis=1)
        ties += int(np.sum(shares[:, -1] - shares[:, -2] < 1e-15))
        assert_equal(forest, "predict", data, sample_rows(seed))
    assert ties > 10, "there were no ties"


def test_the_families_of_training_have_a_fast_path() -> None:
    table = pd.DataFrame(rows_on_a_grid(0), columns=FEATURES)
    target = table["acid"] + table["sugar"] > 2.4
    for family in FAMILIES.values():
        estimator = family.build(n_estimators=20, random_state=0).fit(table, target)
        call = assert_equal(estimator, "predict", table.head(2), sample_rows(0))
        assert call(table.head(5)).tobytes() == estimator.predict(table.head(5)).tobytes()


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
def test_boosting_starts_at_the_constant_of_its_loss(loss: str) -> None:
    data = rows_on_a_grid(1)
    estimator = ensemble.GradientBoostingRegressor(loss=loss, n_estimators=9).fit(data, data.sum(axis=1))
    assert_equal(estimator, "predict", data, sample_rows(1))


def test_boosting_starts_at_zero_if_configured() -> None:
    data = rows_on_a_grid(1)
    for labels in (2, 3):
        estimator = ensemble.GradientBoostingClassifier(init="zero", n_estimators=9).fit(data, np.arange(120) % labels)
        assert_equal(estimator, "predict_proba", data, sample_rows(1))


def test_a_sum_of_exactly_zero_is_the_second_class() -> None:
    data = np.ones((120, 4))
    estimator = ensemble.GradientBoostingClassifier(init="zero", n_estimators=3).fit(data, np.arange(120) % 2)
    assert (estimator.decision_function(data) == 0).all()
    assert assert_equal(estimator, "predict", data, data)(data).all()


def test_boosting_that_starts_from_a_model_has_no_fast_path() -> None:
    data = rows_on_a_grid(1)
    boosted = ensemble.GradientBoostingClassifier(init=LogisticRegression(), n_estimators=9).fit(
        data, np.arange(120) % 2
    )
    assert tree_ensembles.find(boosted, "predict") is None
    assert fast_path.accelerate(boosted, "predict", data) == boosted.predict


def test_a_forest_too_large_to_copy_is_summed_tree_by_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_ensembles, "_MAX_COPIED_NODES", 10)
    monkeypatch.delattr(tree_ensembles, "_build_vote_sums")
    data = rows_on_a_grid(2)
    estimator = ensemble.RandomForestClassifier(n_estimators=11, random_state=2).fit(data, np.arange(120) % 3)
    assert_equal(estimator, "predict_proba", data, sample_rows(2))


def test_missing_values_follow_the_branches_that_the_trees_learned() -> None:
    for kind in (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor):
        data = rows_on_a_grid(3)
        data[np.random.default_rng(3).random(data.shape) < 0.2] = np.nan
        estimator = kind(n_estimators=15, random_state=3).fit(data, np.isnan(data[:, 0]) ^ (np.arange(120) % 3 > 1))
        call = assert_equal(estimator, "predict", sample_rows(3)[:4], sample_rows(3))
        assert call(data).tobytes() == estimator.predict(data).tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_values_that_the_estimator_rejects_are_still_rejected(bad: float) -> None:
    data = rows_on_a_grid(4)
    call = assert_equal(
        ensemble.GradientBoostingClassifier(n_estimators=5).fit(data, np.arange(120) % 2), "predict", data, data
    )
    with pytest.raises(ValueError, match="Input X contains"):
        call(np.array([[bad, 1.0, 1.0, 1.0]]))


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.ones((1, 5)), np.ones((0, 4)), np.ones(4)])
def test_rows_of_another_shape_are_still_rejected(rows: np.ndarray[Any, Any]) -> None:
    data = rows_on_a_grid(4)
    call = assert_equal(ensemble.RandomForestRegressor(n_estimators=5).fit(data, data[:, 0]), "predict", data, data)
    with pytest.raises(ValueError, match=r"features|sample|1D array"):
        call(rows)


def test_columns_in_another_order_are_still_rejected() -> None:
    table = pd.DataFrame(rows_on_a_grid(4), columns=FEATURES)
    estimator = ensemble.RandomForestRegressor(n_estimators=5).fit(table, table["acid"])
    call = assert_equal(estimator, "predict", table, table)
    with pytest.raises(ValueError, match="order"):
        call(table[FEATURES[::-1]])


def test_whole_numbers_and_booleans_become_32_bits_as_they_do_in_the_estimator() -> None:
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {"a": random.integers(2**24, 2**25, 200), "b": random.random(200), "c": random.random(200) < 0.5}
    )
    target = (table["a"] % 4 < 2) ^ table["c"]
    estimator = ensemble.RandomForestClassifier(n_estimators=9, random_state=5).fit(table, target)
    call = assert_equal(estimator, "predict_proba", table, table)
    large = pd.DataFrame({"a": random.integers(2**53, 2**62, 200), "b": table["b"], "c": table["c"]})
    assert call(large).tobytes() == estimator.predict_proba(large).tobytes()


def test_the_steps_of_a_pipeline_before_the_trees_run_as_they_are() -> None:
    data = rows_on_a_grid(6) * [1, 100, 0.01, 7]
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("skip", "passthrough"),
            ("trees", ensemble.ExtraTreesClassifier(9, random_state=6)),
        ]
    )
    assert_equal(pipeline.fit(data, np.arange(120) % 3), "predict", data, sample_rows(6))


def test_trees_after_sparse_columns_have_no_fast_path(caplog: pytest.LogCaptureFixture) -> None:
    table = pd.DataFrame({"region": [f"r{number % 50}" for number in range(100)]})
    encode = ColumnTransformer([("region", OneHotEncoder(), ["region"])], sparse_threshold=1.0)
    pipeline = make_pipeline(encode, ensemble.RandomForestClassifier(n_estimators=5)).fit(table, np.arange(100) % 2)
    assert fast_path.accelerate(pipeline, "predict", table.head(3)) == pipeline.predict
    assert "with its own predict" in caplog.text


class Contrary(ensemble.RandomForestClassifier):  # type: ignore[misc]
    """A subclass may predict differently."""

    def predict(self, X: Any) -> Any:  # noqa: N803 (scikit-learn's name)
        return 1 - super().predict(X)


@pytest.mark.parametrize("make", [Contrary, HuberRegressor, RidgeClassifier, ensemble.HistGradientBoostingClassifier])
def test_an_unsupported_estimator_has_no_fast_path(make: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    data = rows_on_a_grid(7)
    estimator = make().fit(data, np.arange(120) % 2)
    assert (tree_ensembles.find(estimator, "predict"), linear_models.find(estimator, "predict")) == (None, None)
    assert fast_path.accelerate(estimator, "predict", data) == estimator.predict
    assert f"{type(estimator).__name__} predicts with its own predict" in caplog.text


def test_several_outputs_have_no_fast_path() -> None:
    data = rows_on_a_grid(7)
    for kind in (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor):
        estimator = kind(n_estimators=5).fit(data, np.stack([np.arange(120) % 2, np.arange(120) % 3], axis=1))
        assert tree_ensembles.find(estimator, "predict") is None
        assert fast_path.accelerate(estimator, "predict", data) == estimator.predict


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("scaler", [None, StandardScaler(), StandardScaler(with_mean=False)])
def test_scaled_classes_and_probabilities_are_the_estimators_own(scaler: Any, method: str, labels: list[Any]) -> None:
    for seed in range(4):
        data = rows_on_a_grid(seed) * [1, 100, 0.01, 7]
        target = np.random.default_rng(seed).choice(labels, len(data))
        assert_equal(make_pipeline(scaler, LogisticRegression()).fit(data, target), method, data, sample_rows(seed))


@pytest.mark.parametrize("kind", [LinearRegression, Ridge, Lasso, ElasticNet])
@pytest.mark.parametrize("outputs", [1, 2])
def test_linear_regressions_are_the_estimators_own(kind: Any, outputs: int) -> None:
    for seed in range(4):
        data = rows_on_a_grid(seed, columns=4) * [1, 100, 0.01, 7]
        target = np.random.default_rng(seed).normal(size=(len(data), outputs)) * 10.0 ** (seed - 3)
        target = target[:, 0] if outputs == 1 else target
        assert_equal(make_pipeline(StandardScaler(), kind()).fit(data, target), "predict", data, sample_rows(seed))


def test_a_score_of_exactly_zero_is_the_first_class() -> None:
    data = rows_on_a_grid(1)
    estimator = LogisticRegression(fit_intercept=False).fit(data, np.arange(120) % 2)
    zero = np.zeros((7, 4))
    assert (estimator.decision_function(zero) == 0).all()
    assert not assert_equal(estimator, "predict", data, zero)(zero).any()


def test_frames_are_added_in_the_estimators_order() -> None:
    table = pd.DataFrame(rows_on_a_grid(3, columns=30) * 0.1)
    table.columns = [f"f{number}" for number in range(30)]
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, np.arange(120) % 3)
    assert_equal(estimator, "predict_proba", table.head(5), sample_rows(3, columns=30))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_numbers_of_another_type_go_to_the_estimator(dtype: Any) -> None:
    data = rows_on_a_grid(3) * 2
    estimator = make_pipeline(StandardScaler(), Ridge()).fit(data, data.sum(axis=1) * 0.3)
    call = assert_equal(estimator, "predict", data, sample_rows(3))
    other = data.astype(dtype)
    assert call(other).dtype == estimator.predict(other).dtype
    assert call(other).tobytes() == estimator.predict(other).tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_a_linear_model_rejects_are_still_rejected(bad: float) -> None:
    data = rows_on_a_grid(4)
    call = assert_equal(make_pipeline(StandardScaler(), Ridge()).fit(data, data[:, 0]), "predict", data, data)
    with pytest.raises(ValueError, match="Input X contains"):
        call(np.array([[bad, 1.0, 1.0, 1.0]]))


def test_rows_that_are_scaled_are_not_changed() -> None:
    data = rows_on_a_grid(4)
    call = assert_equal(make_pipeline(StandardScaler(), Ridge()).fit(data, data[:, 0]), "predict", data, data)
    before = data.copy()
    call(data)
    assert (data == before).all()
    assert linear_models.find(StandardScaler(copy=False).fit(data), "transform") is None


def test_trees_after_a_scaler_of_whole_numbers_have_a_fast_path() -> None:
    table = pd.DataFrame(np.random.default_rng(5).integers(0, 9, (120, 4)), columns=FEATURES)
    estimator = make_pipeline(StandardScaler(), ensemble.RandomForestRegressor(n_estimators=5)).fit(
        table, table["acid"]
    )
    call = assert_equal(estimator, "predict", table, table)
    assert isinstance(call, fast_path._FastPath)


@pytest.mark.parametrize("step", [0, 1])
def test_a_linear_model_that_disagrees_is_not_accelerated(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    find, data = (
        linear_models.find,
        rows_on_a_grid(4) + 1,
    )  # the example has no row of zeros; rows around it do
    estimator = make_pipeline(StandardScaler(), Ridge()).fit(data, data.sum(axis=1) * 0.3)
    wrong_step = estimator[step]

    def find_wrong(one: Any, method: str) -> tree_ensembles.ArrayFunction | None:
        found = find(one, method)
        if found is None or one is not wrong_step:
            return found

        def wrong(rows: tree_ensembles.Array) -> tree_ensembles.Array:
            predictions = found(rows)
            predictions[(rows == 0).all(axis=1)] = 7
            return predictions

        return wrong

    monkeypatch.setattr(linear_models, "find", find_wrong)
    assert fast_path.accelerate(estimator, "predict", data) == estimator.predict


def disagree_by_a_bit(fast: tree_ensembles.ArrayFunction) -> tree_ensembles.ArrayFunction:
    return lambda rows: np.nextafter(fast(rows), np.inf)


def disagree_on_thresholds(fast: tree_ensembles.ArrayFunction) -> tree_ensembles.ArrayFunction:
    return lambda rows: fast(np.nextafter(rows, np.float32(-np.inf)))


def disagree_in_type(fast: tree_ensembles.ArrayFunction) -> tree_ensembles.ArrayFunction:
    return lambda rows: fast(rows).astype(np.float32)


def fail(_: tree_ensembles.ArrayFunction) -> tree_ensembles.ArrayFunction:
    raise AttributeError("no such tree")


@pytest.mark.parametrize("distort", [disagree_by_a_bit, disagree_on_thresholds, disagree_in_type, fail])
def test_a_model_whose_fast_path_disagrees_is_served_with_its_own_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, distort: Callable[[Any], Any]
) -> None:
    find = tree_ensembles.find
    monkeypatch.setattr(tree_ensembles, "find", lambda *arguments: distort(find(*arguments)))
    table = pd.DataFrame(rows_on_a_grid(8), columns=FEATURES)
    # The example's own features are on no threshold; the rows around it are.
    served, forest = save_and_load(tmp_path, ensemble.RandomForestRegressor(n_estimators=9, random_state=8), table)
    assert served.call == served.call.__self__.predict, "the estimator's own method"
    assert "predicts with its own predict" in caplog.text
    assert served.predict([(1.0, 1.25, 1.0, 0.0)])["predict"] == forest.predict([(1.0, 1.25, 1.0, 0.0)])


def test_a_model_whose_fast_path_agrees_is_served_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(rows_on_a_grid(8), columns=FEATURES)
    served, forest = save_and_load(
        tmp_path, ensemble.RandomForestClassifier(n_estimators=9, random_state=8, n_jobs=2), table
    )
    truth = forest.predict(sample_rows(8))
    monkeypatch.setattr(ensemble.RandomForestClassifier, "predict", None)
    assert served.accepts_arrays
    rows = [tuple(row) for row in sample_rows(8).tolist()]
    assert served.predict(rows)["predict"].tobytes() == truth.tobytes()


def save_and_load(folder: Path, estimator: Any, table: pd.DataFrame) -> tuple[model.Model, Any]:
    """Fit and save the estimator, and load it as the server does; returns the loaded model and the estimator."""
    estimator.fit(table, (table["acid"] > 1).astype(int))
    path = folder / "model"
    mlflow.sklearn.save_model(
        estimator,
        path,
        signature=infer_signature(table, estimator.predict(table)),
        input_example=table.head(2),
        pip_requirements=[],
        serialization_format="skops",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )
    return model.load(DownloadedModel(path, ModelVersion("m", "1")), 300), estimator


def assert_equal(estimator: Any, method: str, example: Any, data: Any) -> Callable[[Any], Any]:
    """Compare the fast path with the estimator: bytes, types and shapes, for single rows and batches; returns it."""
    call, own = fast_path.accelerate(estimator, method, example), getattr(estimator, method)
    assert call != own, "there is no fast path"
    if isinstance(data, np.ndarray) and hasattr(estimator, "feature_names_in_"):
        data = pd.DataFrame(data, columns=estimator.feature_names_in_)
    for rows in (data[:1], data[1:2], data[:7], data):
        truth, found = own(rows), call(rows)
        assert (found.dtype, found.shape) == (truth.dtype, truth.shape)
        assert found.tobytes() == truth.tobytes() if truth.dtype != object else list(found) == list(truth)
    return call
