"""The two families of models, and the search for their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score

from lifecycle.training.data import FEATURES, TARGET

if TYPE_CHECKING:
    import optuna

SEED = 20_250_601  # one seed for folds, search and training: the same data and code make the same model
FOLDS = 3

Parameters = Mapping[str, int | float]


@dataclass(frozen=True)
class Family:
    """A kind of model, and the space its parameters are searched in."""

    name: str
    build: Callable[..., ClassifierMixin]
    space: Callable[[optuna.Trial], dict[str, int | float]]

    def fit(self, table: pd.DataFrame, parameters: Parameters) -> ClassifierMixin:
        return self.make(parameters).fit(table[FEATURES], table[TARGET])

    def make(self, parameters: Parameters) -> ClassifierMixin:
        return self.build(random_state=SEED, **parameters)


@dataclass(frozen=True)
class Tuning:
    """What a search found. `accuracy` is the mean over the folds of the training rows; trials are in order."""

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
    """Search the family's parameters by cross-validation; the held-out rows have no part in it."""
    import optuna

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)

    def accuracy(trial: optuna.Trial) -> float:
        model = family.make(family.space(trial))
        return float(cross_val_score(model, table[FEATURES], table[TARGET], cv=folds).mean())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(accuracy, n_trials=trials)
    tried = [{**trial.params, "accuracy": trial.value} for trial in study.trials]
    return Tuning(family.name, dict(study.best_params), float(study.best_value), tried)


def load(path: Path) -> ClassifierMixin:
    """A model from a skops file, which builds only types that the serving contract trusts."""
    import skops.io

    from lifecycle.contract import load as contract

    return skops.io.load(path, trusted=list(contract().trusted_types))
