"""A loaded model: its input schema, and predict. The serving contract admits only scikit-learn's models."""

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

from lifecycle.contract.native_structures import check_native_structures
from lifecycle.core import ModelVersion
from lifecycle.serving import fast_path
from lifecycle.serving import schema as schemas
from lifecycle.serving.errors import RequestError
from lifecycle.serving.model_source import DownloadedModel, ModelError
from lifecycle.serving.schema import Column, ColumnType, InputSchema, Row

OUTPUT = "predict"  # the name of an output without a name in the signature

# scikit-learn's messages about values that it cannot predict for (sklearn/utils/validation.py and
# sklearn/preprocessing/_encoders.py); the serving contract pins its version.
_TOO_LARGE = re.compile(r"value too large for dtype\('(\w+)'\)")
_MISSING = re.compile(r"^Input (\w+ )?contains NaN")
_UNKNOWN_CATEGORY = re.compile(r"^Found unknown categories ")

_COLUMN_TYPES: Mapping[DataType, ColumnType] = {
    DataType.boolean: schemas.BOOLEAN,
    DataType.integer: schemas.INTEGER,
    DataType.long: schemas.LONG,
    DataType.float: schemas.FLOAT,
    DataType.double: schemas.DOUBLE,
    DataType.string: schemas.STRING,
    DataType.datetime: schemas.DATETIME,
}

Outputs = Mapping[str, "np.ndarray[Any, Any]"]  # keyed by the output's name; the first axis is the row


@dataclass(frozen=True)
class Model:
    """One version of a registered model, ready to predict.

    outputs         name, datatype and shape of each output, as the Open Inference Protocol describes tensors
    call            the estimator's own predict, or a faster equivalent
    accepts_arrays  whether `call` accepts arrays: for one row, scikit-learn's checks of a frame cost more than
                    most models
    """

    model_version: ModelVersion
    schema: InputSchema
    outputs: Sequence[Mapping[str, Any]]
    call: Callable[[Any], Any]
    accepts_arrays: bool

    def predict(self, rows: Sequence[Row]) -> Outputs:
        """Predictions for checked rows.

        Raises RequestError for values that fit the signature but that the model cannot predict for, ValueError if the
        number of predictions differs from the number of rows, and any other exception of the model.
        """
        try:
            data = self.schema.to_array(rows) if self.accepts_arrays else self.schema.to_frame(rows)
            outputs = self._name_outputs(self.call(data))
        except ValueError as error:
            raise _explain_rejection(self.schema, rows, str(error)) or error from None
        for name, values in outputs.items():
            if len(values) != len(rows):
                raise ValueError(f"the model returned {len(values)} values as '{name}' for {len(rows)} rows")
        return outputs

    def _name_outputs(self, result: Any) -> Outputs:
        if isinstance(result, pd.DataFrame):
            return {str(name): result[name].to_numpy() for name in result.columns}
        return {self.outputs[0]["name"] if len(self.outputs) == 1 else OUTPUT: np.ascontiguousarray(result)}


def load(downloaded: DownloadedModel, max_rows: int) -> Model:
    """Load the model and predict its own input example. Raises ModelError."""
    folder, subject = str(downloaded.folder), f"The model {downloaded.model_version}"
    try:
        description = Description.load(folder)
        estimator = _load_estimator(folder)
        check_native_structures(estimator)
        method = description.flavors["python_function"].get("predict_fn", "predict")
    except Exception as error:  # a corrupt file may raise any exception
        raise ModelError(f"{subject} cannot be loaded ({_summarize(error)}). Train it again.") from None
    signature = description.signature
    if signature is None:
        raise ModelError(
            f"{subject} has no signature, so requests cannot be checked. Log it with infer_signature(...)."
        )
    schema = InputSchema([_column(subject, spec) for spec in signature.inputs.inputs], max_rows)
    try:
        example: Any = description.load_input_example(folder)
        example = example[schema.names]
        predicted = getattr(estimator, method)(example)
    except Exception as error:  # the model's own code
        raise ModelError(f"{subject} fails on its own input example ({_summarize(error)}). Train it again.") from None
    call = fast_path.accelerate(estimator, method, example)
    accepts_arrays = schema.is_plain and _predicts_arrays(call, example.to_numpy(), predicted)
    return Model(downloaded.model_version, schema, _outputs(signature.outputs), call, accepts_arrays)


def _explain_rejection(schema: InputSchema, rows: Sequence[Row], message: str) -> RequestError | None:
    """The client's error behind scikit-learn's message; None if the model itself failed."""
    if too_large := _TOO_LARGE.search(message):
        return schema.out_of_range(rows, too_large[1])
    if _UNKNOWN_CATEGORY.search(message):
        return schema.unknown_category()
    if _MISSING.search(message):
        return schema.missing_value(rows)
    return None


def datatype(dtype: np.dtype[Any]) -> str:
    """The Open Inference Protocol's name of a dtype: `FP64`, `INT8`, `BOOL`; BYTES for others."""
    names = {"f": "FP", "i": "INT", "u": "UINT"}
    return (
        "BOOL" if dtype.kind == "b" else f"{names[dtype.kind]}{8 * dtype.itemsize}" if dtype.kind in names else "BYTES"
    )


def _load_estimator(folder: str) -> Any:
    """Scikit-learn's own object: MLflow's wrapper would repeat the checks of the schema."""
    estimator = mlflow.sklearn.load_model(folder)
    # A worker has one core, so several threads would only compete.
    threads = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    return estimator.set_params(**dict.fromkeys(threads, 1))


def _predicts_arrays(call: Callable[[Any], Any], example: np.ndarray[Any, Any], predicted: Any) -> bool:
    """Whether the model predicts the same without the features' names; not if it selects columns by name."""
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    try:
        return bool(np.array_equal(call(example), predicted))
    except Exception:  # raised by an estimator that needs the names
        return False


def _column(subject: str, spec: ColSpec | TensorSpec) -> Column:
    column_type = _COLUMN_TYPES.get(spec.type) if isinstance(spec.type, DataType) else None
    if column_type is None or spec.name is None:
        raise ModelError(
            f"{subject} has the input '{spec.name}' of type {spec.type}; only numbers, booleans, strings and dates are "
            "supported."
        )
    return Column(spec.name, column_type, spec.required)


def _outputs(outputs: Schema) -> list[dict[str, Any]]:
    return [_output(spec) for spec in outputs.inputs]


def _output(spec: ColSpec | TensorSpec) -> dict[str, Any]:
    if isinstance(spec, TensorSpec):
        return {"name": spec.name or OUTPUT, "datatype": datatype(np.dtype(spec.type)), "shape": list(spec.shape)}
    column_type = _COLUMN_TYPES.get(spec.type, schemas.STRING) if isinstance(spec.type, DataType) else schemas.STRING
    return {"name": spec.name or OUTPUT, "datatype": column_type.datatype, "shape": [-1]}


def _summarize(error: Exception) -> str:
    """An exception as one line of bounded length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
