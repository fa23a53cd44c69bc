"""The families of models, and the search for their hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from lifecycle import contract
from lifecycle.gate import TARGET
from lifecycle.training.data import FEATURES

if TYPE_CHECKING:
    import optuna

SEED = 20_250_601  # of folds, search and training: the same data and code give the same model
FOLDS = 3

Parameters = Mapping[str, int | float]


@dataclass(frozen=True)
class Family:
    """A kind of model, and the search space of its hyperparameters."""

    name: str
    build: Callable[..., ClassifierMixin]
    space: Callable[[optuna.Trial], dict[str, int | float]]

    def fit(self, table: pd.DataFrame, parameters: Parameters) -> ClassifierMixin:
        return self.create(parameters).fit(table[FEATURES], table[TARGET])

    def create(self, parameters: Parameters) -> ClassifierMixin:
        return self.build(random_state=SEED, **parameters)


@dataclass(frozen=True)
class Tuning:
    """The result of a search. `accuracy` is the mean over the folds of the training rows; trials are in order."""

    family: str
    parameters: dict[str, int | float]
    accuracy: float
    trials: list[dict[str, Any]]


def _forest(trial: optuna.Trial) -> dict[str, int | float]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 20, 120, step=20),
        "max_depth": trial.suggest_int("max_depth", 3, 12),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 5),
    }


def _boosting(trial: optuna.Trial) -> dict[str, int | float]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 20, 120, step=20),
        "max_depth": trial.suggest_int("max_depth", 2, 4),
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.3, log=True),
    }


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("random-forest", RandomForestClassifier, _forest),
        Family("gradient-boosting", GradientBoostingClassifier, _boosting),
    )
}


def tune(family: Family, table: pd.DataFrame, trials: int) -> Tuning:
    """Search the family's hyperparameters by cross-validation on the training rows."""
    import optuna

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)

    def accuracy(trial: optuna.Trial) -> float:
        model = family.create(family.space(trial))
        return float(cross_val_score(model, table[FEATURES], table[TARGET], cv=folds).mean())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(accuracy, n_trials=trials)
    trials_ = [{**trial.params, "accuracy": trial.value} for trial in study.trials]
    return Tuning(family.name, dict(study.best_params), float(study.best_value), trials_)


def load(path: Path) -> ClassifierMixin:
    """Load a model from a skops file; builds only types that the serving contract trusts."""
    import skops.io

    return skops.io.load(path, trusted=list(contract.load().trusted_types))
