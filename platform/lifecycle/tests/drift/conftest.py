"""Fixtures of real parts for the analysis of drift."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from lifecycle.core.reference_profile import ReferenceProfile
from lifecycle.drift.engines import Engine, open_engine
from support.drift import make_reference
from support.fixtures import models

__all__ = ["models"]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="session")
def reference() -> ReferenceProfile:
    return make_reference(np.random.default_rng(4))


@pytest.fixture
def duckdb() -> Iterator[Engine]:
    with open_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def spark() -> Iterator[Engine]:
    """Spark on this machine, with two threads; it is real, and no cluster."""
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or 21, and `java` is not on PATH")
    with pytest.MonkeyPatch.context() as environment:
        # Two partitions, not 200, of a few rows; and code that runs once is not compiled twice.
        options = "--conf spark.sql.shuffle.partitions=2 --driver-java-options -XX:TieredStopAtLevel=1"
        environment.setenv("PYSPARK_SUBMIT_ARGS", f"{options} pyspark-shell")
        with open_engine("local[2]") as engine:
            yield engine
