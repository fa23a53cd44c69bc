"""The engines that run the queries: DuckDB in this process, or Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ibis
import pandas as pd

from lifecycle.core import LifecycleError
from lifecycle.drift.errors import InputError


class Engine:
    """Reads Parquet files into tables, and runs queries of them."""

    def __init__(self, backend: Any, *, is_remote: bool) -> None:
        """`is_remote`: the engine reads the artifact store itself, so that files need not be downloaded."""
        self._backend = backend
        self.is_remote = is_remote

    def read(self, locations: Sequence[str]) -> ibis.Table:
        """The rows of all files. Raises InputError if one is not Parquet, or their schemas differ in a type."""
        with _translate_errors():
            if not self.is_remote:
                return self._backend.read_parquet(list(locations), union_by_name=True)
            files = [location.replace("s3://", "s3a://", 1) for location in locations]
            reader = self._backend._session.read.option("mergeSchema", "true")
            view = f"files_{abs(hash(tuple(files)))}"
            reader.parquet(*files).createOrReplaceTempView(view)
            return self._backend.table(view)

    def run(self, query: ibis.Table) -> pd.DataFrame:
        """The query's rows. Raises InputError if a file is broken."""
        with _translate_errors():
            return query.to_pandas()


@contextmanager
def open_engine(spark_master: str = "", threads: int | None = None) -> Iterator[Engine]:
    """DuckDB, by default with one thread per core, or Spark at this master."""
    if spark_master:
        with _open_spark(spark_master) as backend:
            yield Engine(backend, is_remote=True)
        return
    # Extensions would be downloaded from the Internet while a query runs; none is needed for local Parquet files.
    settings: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    backend = ibis.duckdb.connect(**settings, **({"threads": threads} if threads else {}))
    try:
        yield Engine(backend, is_remote=False)
    finally:
        backend.disconnect()


@contextmanager
def _open_spark(master: str) -> Iterator[Any]:
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise LifecycleError(
            f"DRIFT_SPARK_MASTER is {master}, and PySpark is not installed: install the extra `spark`, or unset it."
        ) from None
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(master).appName("groundwork-drift").config(map=settings)
    try:
        session = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise LifecycleError(
            f"Spark does not start at DRIFT_SPARK_MASTER {master}: {_summarize(error)}. Start it, install Java 17, or "
            "unset DRIFT_SPARK_MASTER."
        ) from None
    try:
        yield ibis.pyspark.connect(session)
    finally:
        session.stop()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """The engines' exceptions have no common type; any exception here is about the files that they read."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"The files cannot be read as one table: {_summarize(error)}. Restore or remove the broken one."
        ) from None


def _summarize(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
