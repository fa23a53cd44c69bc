"""Two small models in a real MLflow registry, and a server for each."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from support.serving import FEATURES, WEIGHTS, Server, register, serve, start


@pytest.fixture(scope="session")
def registry(mlflow_server: str) -> str:
    """The URI of an MLflow server with the models `plain` and `mixed`, both with the alias champion."""
    mlflow.set_tracking_uri(mlflow_server)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(64, 4)), columns=FEATURES)
    register("plain", LinearRegression(), table, table.to_numpy() @ WEIGHTS)
    mixed = pd.DataFrame(
        {
            "age": np.arange(40, dtype=np.int64),
            "income": np.linspace(0, 1, 40),
            "member": [True, False] * 20,
            "region": ["north", "south", "east", "west"] * 10,
        }
    )
    encode = ColumnTransformer([("region", OneHotEncoder(), ["region"])], remainder="passthrough")
    forest = make_pipeline(encode, RandomForestClassifier(n_estimators=9, random_state=0))
    register("mixed", forest, mixed, mixed["age"] > 20, skops_trusted_types=["sklearn.tree._tree.Tree"])
    return mlflow_server


@pytest.fixture(scope="session")
def server(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves `plain`, started as a container starts it."""
    with serve(registry, tmp_path_factory.mktemp("plain"), start=start, MAX_BODY_BYTES=20_000) as running:
        yield running


@pytest.fixture(scope="session")
def mixed(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves `mixed`."""
    with serve(registry, tmp_path_factory.mktemp("mixed"), model="mixed") as running:
        yield running
