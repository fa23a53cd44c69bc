"""Converts JSON tensors of the Open Inference Protocol to a model's rows, and outputs to tensors.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
Supported are one tensor per feature, of shape [rows] or [rows, 1], and a single tensor of shape [rows, features] in the
model's order. The extension for binary tensors is not supported, because its values would not be checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lifecycle.serving.errors import RequestError, invalid_input
from lifecycle.serving.model import Model, Outputs, datatype
from lifecycle.serving.schema import Column, InputSchema, Row

_BOUNDS: Mapping[str, tuple[int, int]] = {
    **{f"INT{bits}": (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
_INTEGERS = frozenset(_BOUNDS)
_TYPES: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(_INTEGERS, frozenset({int})),
    **dict.fromkeys(("FP16", "FP32", "FP64"), frozenset({int, float})),
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
}
_NUMERIC = _INTEGERS | {"FP16", "FP32", "FP64"}


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]  # flat, row after row


def parse(schema: InputSchema, body: Mapping[str, Any]) -> list[Row]:
    """The checked rows of an inference request. Raises RequestError."""
    if not isinstance(body.get("id"), str | None):
        raise invalid_input("id: must be a string")
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise invalid_input("inputs: must be a list with at least one tensor")
    tensors = [_parse_tensor(item, f"inputs[{number}]") for number, item in enumerate(inputs)]
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].name not in schema.names:
        return _rows_of_matrix(schema, tensors[0])
    return _rows_of_columns(schema, tensors)


def render(model: Model, outputs: Outputs, body: Mapping[str, Any]) -> dict[str, Any]:
    """The inference response, with all outputs or those in the request. Raises RequestError if one is unknown."""
    names = _requested_outputs(body.get("outputs"), outputs)
    response: dict[str, Any] = {
        "model_name": model.model_version.model,
        "model_version": model.model_version.version,
        "outputs": [
            {
                "name": name,
                "shape": outputs[name].shape,
                "datatype": datatype(outputs[name].dtype),
                "data": outputs[name].reshape(-1),
            }
            for name in names
        ],
    }
    if body.get("id") is not None:
        response["id"] = body["id"]
    return response


def describe(model: Model) -> dict[str, Any]:
    """The model's metadata: one tensor per feature."""
    return {
        "name": model.model_version.model,
        "versions": [model.model_version.version],
        "platform": "mlflow_sklearn",
        "inputs": [
            {"name": column.name, "datatype": column.type.datatype, "shape": [-1]} for column in model.schema.columns
        ],
        "outputs": list(model.outputs),
    }


def _parse_tensor(item: object, path: str) -> _Tensor:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise invalid_input(f"{path}: must be a tensor: an object with name, shape, datatype and data")
    name, shape, datatype_, data = (item.get(key) for key in ("name", "shape", "datatype", "data"))
    path = f"{path} ('{str(name)[:80]}')"
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= 2
        or not all(type(side) is int and side >= 0 for side in shape)
    ):
        raise invalid_input(f"{path}: shape must be [rows] or [rows, columns]")
    if not isinstance(datatype_, str) or datatype_ not in _TYPES:
        raise invalid_input(f"{path}: datatype must be one of {', '.join(sorted(_TYPES))}")
    if not isinstance(data, list):
        raise invalid_input(f"{path}: data must be a list; binary tensors are not supported")
    return _Tensor(str(name), shape, datatype_, _flatten(data, shape, path))


def _flatten(data: list[Any], shape: Sequence[int], path: str) -> list[Any]:
    """Data may be nested in rows, if the rows have the length in the shape."""
    if data and type(data[0]) is list:
        if any(type(row) is not list or len(row) != shape[-1] for row in data) or len(shape) != 2:
            raise invalid_input(f"{path}: the rows of data do not have the length in shape {list(shape)}")
        data = list(chain.from_iterable(data))
    if len(data) != math.prod(shape):
        raise invalid_input(f"{path}: has {len(data)} values; shape {list(shape)} requires {math.prod(shape)}")
    return data


def _rows_of_matrix(schema: InputSchema, tensor: _Tensor) -> list[Row]:
    rows, width = tensor.shape
    if width != len(schema.columns):
        raise invalid_input(f"inputs[0]: has {width} columns, must have {len(schema.columns)}, in the model's order")
    schema.check_row_count(rows, "inputs[0]")
    for number, column in enumerate(schema.columns):
        _check_type(column, tensor.datatype, tensor.data[number::width])
    return schema.parse_rows(
        [tensor.data[start : start + width] for start in range(0, rows * width, width)], "inputs[0]"
    )


def _rows_of_columns(schema: InputSchema, tensors: Sequence[_Tensor]) -> list[Row]:
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        raise invalid_input("inputs: two tensors have the same name")
    rows = tensors[0].shape[0]
    for tensor in tensors:
        if tensor.shape[0] != rows or tensor.shape[1:] not in ([], [1]):
            raise invalid_input(f"inputs: feature '{tensor.name[:80]}' must have shape [{rows}] or [{rows}, 1]")
    schema.check_row_count(rows, "inputs")
    for column in schema.columns:
        if column.name in by_name:
            _check_type(column, by_name[column.name].datatype, by_name[column.name].data)
    named = [dict(zip(by_name, values, strict=True)) for values in zip(*(t.data for t in tensors), strict=True)]
    return schema.parse_rows(named, "inputs")


def _check_type(column: Column, datatype_: str, values: Sequence[Any]) -> None:
    """Check a tensor's datatype against its column, and its values against the datatype."""
    expected = column.type.datatype
    fits = datatype_ in _NUMERIC if column.type.is_numeric else datatype_ == expected
    if not fits:
        raise _type_error(column, f"is {expected}; a tensor of {datatype_} does not fit")
    if not (_TYPES[datatype_] | {type(None)}).issuperset(map(type, values)):
        raise _type_error(column, f"has values that are not of its datatype {datatype_}")
    if datatype_ in _BOUNDS:
        least, most = _BOUNDS[datatype_]
        if not all(value is None or least <= value <= most for value in values):
            raise _type_error(column, f"has values outside of its datatype {datatype_}, from {least} to {most}")


def _type_error(column: Column, problem: str) -> RequestError:
    return invalid_input(f"inputs: feature '{column.name}' {problem}")


def _requested_outputs(requested: object, outputs: Outputs) -> list[str]:
    if requested is None:
        return list(outputs)
    names = (
        [item.get("name") if isinstance(item, dict) else None for item in requested]
        if isinstance(requested, list)
        else []
    )
    known = [name for name in names if isinstance(name, str) and name in outputs]
    if not known or len(known) < len(names):
        raise invalid_input(f"outputs: must name outputs of the model: {', '.join(outputs)}")
    return known
