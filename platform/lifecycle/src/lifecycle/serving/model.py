"""A loaded model: its table of features, and predict. The serving contract admits scikit-learn's models alone."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import Model as Description
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

from lifecycle.serving import fast
from lifecycle.serving import table as tables
from lifecycle.serving.registry import Artifact, ModelError
from lifecycle.serving.table import Column, Kind, Row, Table

OUTPUT = "predict"  # the name of an output that the signature leaves nameless

# As scikit-learn says it, in sklearn/utils/validation.py; the serving contract pins its version.
_TOO_LARGE = re.compile(r"value too large for dtype\('(\w+)'\)")

_KINDS: Mapping[DataType, Kind] = {
    DataType.boolean: tables.BOOLEAN,
    DataType.integer: tables.INTEGER,
    DataType.long: tables.LONG,
    DataType.float: tables.FLOAT,
    DataType.double: tables.DOUBLE,
    DataType.string: tables.STRING,
    DataType.datetime: tables.DATETIME,
}

Outputs = Mapping[str, "np.ndarray[Any, Any]"]  # by output's name; the first axis counts rows


@dataclass(frozen=True)
class Model:
    """One version of a registered model, ready to predict.

    outputs   name, datatype and shape of each output, as the Open Inference Protocol describes tensors
    call      the model's own predict, or its faster equal
    arrays    whether it takes bare arrays: for one row, scikit-learn's checks of a frame cost more than most models
    """

    name: str
    version: str
    table: Table
    outputs: Sequence[Mapping[str, Any]]
    call: Callable[[Any], Any]
    arrays: bool

    def predict(self, rows: Sequence[Row]) -> Outputs:
        """Predictions for checked rows.

        Raises Refusal for a value too large for the model's own numbers, ValueError when rows got lost, and whatever
        else the model raises.
        """
        try:
            outputs = self._named(self.call(self.table.array(rows) if self.arrays else self.table.frame(rows)))
        except ValueError as error:
            if narrow := _TOO_LARGE.search(str(error)):
                raise self.table.out_of_range(rows, narrow[1]) from None
            raise
        for name, values in outputs.items():
            if len(values) != len(rows):
                raise ValueError(f"the model returned {len(values)} values as '{name}' for {len(rows)} rows")
        return outputs

    def _named(self, result: Any) -> Outputs:
        if isinstance(result, pd.DataFrame):
            return {str(name): result[name].to_numpy() for name in result.columns}
        return {self.outputs[0]["name"] if len(self.outputs) == 1 else OUTPUT: np.ascontiguousarray(result)}


def load(artifact: Artifact, most_rows: int) -> Model:
    """Load the artifact and let it predict its own input example. Raises ModelError."""
    what = f"The model {artifact.name}, version {artifact.version},"
    try:
        description = Description.load(str(artifact.folder))
        estimator = _estimator(artifact)
        method = description.flavors["python_function"].get("predict_fn", "predict")
    except Exception as error:  # a corrupt file raises anything at all
        raise ModelError(f"{what} cannot be loaded ({_short(error)}). Train it again.") from None
    signature = description.signature
    if signature is None:
        raise ModelError(f"{what} has no signature, so requests cannot be checked. Log it with infer_signature(...).")
    table = Table([_column(what, spec) for spec in signature.inputs.inputs], most_rows)
    try:
        example: Any = description.load_input_example(str(artifact.folder))
        example = example[table.names]
        predicted = getattr(estimator, method)(example)
    except Exception as error:  # the model's own code
        raise ModelError(f"{what} fails on its own input example ({_short(error)}). Train it again.") from None
    call = fast.faster(estimator, method, example)
    arrays = table.plain and _predicts_arrays(call, example.to_numpy(), predicted)
    return Model(artifact.name, artifact.version, table, _outputs(signature.outputs), call, arrays)


def datatype(dtype: np.dtype[Any]) -> str:
    """The Open Inference Protocol's name of a dtype: `FP64`, `INT8`, `BOOL`; BYTES for what has none."""
    names = {"f": "FP", "i": "INT", "u": "UINT"}
    return (
        "BOOL" if dtype.kind == "b" else f"{names[dtype.kind]}{8 * dtype.itemsize}" if dtype.kind in names else "BYTES"
    )


def _estimator(artifact: Artifact) -> Any:
    """Scikit-learn's own object: MLflow's wrapper around it would check again what the table has checked."""
    estimator = mlflow.sklearn.load_model(str(artifact.folder))
    # A worker has one core; the threads of a model that wants more would only wait for each other.
    threads = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    return estimator.set_params(**dict.fromkeys(threads, 1))


def _predicts_arrays(call: Callable[[Any], Any], example: np.ndarray[Any, Any], predicted: Any) -> bool:
    """Whether the model predicts the same without its features' names: not so where it picks columns by them."""
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    try:
        return bool(np.array_equal(call(example), predicted))
    except Exception:  # scikit-learn's way to say that it needs the names
        return False


def _column(what: str, spec: ColSpec | TensorSpec) -> Column:
    kind = _KINDS.get(spec.type) if isinstance(spec.type, DataType) else None
    if kind is None or spec.name is None:
        raise ModelError(
            f"{what} takes '{spec.name}' of type {spec.type}; served are numbers, booleans, strings, dates."
        )
    return Column(spec.name, kind, spec.required)


def _outputs(outputs: Schema) -> list[dict[str, Any]]:
    return [_output(spec) for spec in outputs.inputs]


def _output(spec: ColSpec | TensorSpec) -> dict[str, Any]:
    if isinstance(spec, TensorSpec):
        return {"name": spec.name or OUTPUT, "datatype": datatype(np.dtype(spec.type)), "shape": list(spec.shape)}
    kind = _KINDS[spec.type] if isinstance(spec.type, DataType) and spec.type in _KINDS else tables.STRING
    return {"name": spec.name or OUTPUT, "datatype": kind.datatype, "shape": [-1]}


def _short(error: Exception) -> str:
    """An exception in one line of bounded length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
