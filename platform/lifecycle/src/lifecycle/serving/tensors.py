"""The Open Inference Protocol's JSON tensors, to rows of a model's table and back.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
Taken are one tensor per feature, of shape [rows] or [rows, 1], or a single tensor of shape [rows, features] in the
model's order. The extension for binary tensors is not: it would not be checked value by value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lifecycle.serving.model import Model, Outputs, datatype
from lifecycle.serving.refusals import Refusal, invalid
from lifecycle.serving.table import Column, Row, Table

_WHOLE = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
_TYPES: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(_WHOLE, frozenset({int})),
    **dict.fromkeys(("FP16", "FP32", "FP64"), frozenset({int, float})),
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
}
_NUMERIC = frozenset(_WHOLE | {"FP16", "FP32", "FP64"})


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]  # flat, row after row


def read(table: Table, body: object) -> list[Row]:
    """The checked rows of an inference request. Raises Refusal."""
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise invalid("inputs: must be a list with at least one tensor")
    tensors = [_tensor(item, f"inputs[{number}]") for number, item in enumerate(inputs)]
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].name not in table.names:
        return _of_matrix(table, tensors[0])
    return _of_columns(table, tensors)


def write(model: Model, outputs: Outputs, body: Mapping[str, Any]) -> dict[str, Any]:
    """The inference response; of all outputs, or of those that the request names. Raises Refusal for unknown ones."""
    names = _wanted(body.get("outputs"), outputs)
    answer: dict[str, Any] = {
        "model_name": model.name,
        "model_version": model.version,
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
    if isinstance(body.get("id"), str):
        answer["id"] = body["id"]
    return answer


def metadata(model: Model) -> dict[str, Any]:
    """The model's description: one tensor per feature."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "mlflow_sklearn",
        "inputs": [
            {"name": column.name, "datatype": column.kind.datatype, "shape": [-1]} for column in model.table.columns
        ],
        "outputs": list(model.outputs),
    }


def _tensor(item: object, where: str) -> _Tensor:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise invalid(f"{where}: must be a tensor: an object with name, shape, datatype and data")
    name, shape, kind, data = (item.get(key) for key in ("name", "shape", "datatype", "data"))
    where = f"{where} ('{str(name)[:80]}')"
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= 2
        or not all(type(side) is int and side >= 0 for side in shape)
    ):
        raise invalid(f"{where}: shape must be [rows] or [rows, columns]")
    if kind not in _TYPES:
        raise invalid(f"{where}: datatype must be one of {', '.join(sorted(_TYPES))}")
    if not isinstance(data, list):
        raise invalid(f"{where}: data must be a list; binary tensors are not taken")
    return _Tensor(str(name), shape, str(kind), _flat(data, shape, where))


def _flat(data: list[Any], shape: Sequence[int], where: str) -> list[Any]:
    """Data in rows are as good as flat ones, if the rows are as long as the shape says."""
    if data and type(data[0]) is list:
        if any(type(row) is not list or len(row) != shape[-1] for row in data) or len(shape) != 2:
            raise invalid(f"{where}: the rows of data do not have the lengths that shape {list(shape)} says")
        data = list(chain.from_iterable(data))
    if len(data) != math.prod(shape):
        raise invalid(f"{where}: has {len(data)} values; shape {list(shape)} says {math.prod(shape)}")
    return data


def _of_matrix(table: Table, tensor: _Tensor) -> list[Row]:
    rows, width = tensor.shape
    if width != len(table.columns):
        raise invalid(f"inputs[0]: has {width} columns, must have {len(table.columns)}, in the model's order")
    table.count(rows, "inputs[0]")
    for number, column in enumerate(table.columns):
        _typed(column, tensor.datatype, tensor.data[number::width])
    return table.rows([tensor.data[start : start + width] for start in range(0, rows * width, width)], "inputs[0]")


def _of_columns(table: Table, tensors: Sequence[_Tensor]) -> list[Row]:
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        raise invalid("inputs: two tensors have the same name")
    rows = tensors[0].shape[0]
    for tensor in tensors:
        if tensor.shape[0] != rows or tensor.shape[1:] not in ([], [1]):
            raise invalid(f"inputs: feature '{tensor.name[:80]}' must have shape [{rows}] or [{rows}, 1]")
    table.count(rows, "inputs")
    for column in table.columns:
        if column.name in by_name:
            _typed(column, by_name[column.name].datatype, by_name[column.name].data)
    named = [dict(zip(by_name, values, strict=True)) for values in zip(*(t.data for t in tensors), strict=True)]
    return table.rows(named, "inputs")


def _typed(column: Column, kind: str, values: Sequence[Any]) -> None:
    """Hold a tensor's datatype against its column, and its values against the datatype."""
    fits = kind in _NUMERIC if column.kind.numeric else kind == column.kind.datatype
    if not fits:
        raise _mistyped(column, f"is {column.kind.datatype}; a tensor of {kind} does not fit")
    if not (_TYPES[kind] | {type(None)}).issuperset(map(type, values)):
        raise _mistyped(column, f"has values that are not {kind}, which its datatype says")


def _mistyped(column: Column, problem: str) -> Refusal:
    return invalid(f"inputs: feature '{column.name}' {problem}")


def _wanted(wanted: object, outputs: Outputs) -> list[str]:
    if wanted is None:
        return list(outputs)
    names = (
        [item.get("name") if isinstance(item, dict) else None for item in wanted] if isinstance(wanted, list) else []
    )
    if not names or any(name not in outputs for name in names):
        raise invalid(f"outputs: must name outputs of the model: {', '.join(outputs)}")
    return [str(name) for name in names]
