"""The input columns of a model, from its signature. Every request is checked against them.

Rows are checked one by one while they are plain Python values, so that an error names its feature. Arrays and frames
are created only from checked rows, for a whole batch at once.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from lifecycle.serving.errors import RequestError, invalid_input, payload_too_large

Row = tuple[Any, ...]
_NUMBERS = frozenset({int, float})
_MAX_NAMES = 5  # in one message
_VALUE_BYTES = 40  # in memory, of a number with its place in a row
# The range of nanoseconds in 64 bits; numpy silently converts other times to wrong ones.
_EARLIEST, _LATEST = pd.Timestamp.min.to_pydatetime(warn=False), pd.Timestamp.max.to_pydatetime(warn=False)


class _InvalidValueError(Exception):
    """A value breaks its column's rule; the message is the rule."""


@dataclass(frozen=True)
class ColumnType:
    """The type of a column.

    datatype  its name in the Open Inference Protocol
    numpy     the array's dtype; `object` leaves it to pandas
    parse     checks a JSON value and returns the column's value; raises _InvalidValueError
    """

    datatype: str
    numpy: np.dtype[Any]
    parse: Callable[[Any], Any]

    @property
    def is_numeric(self) -> bool:
        return self.numpy.kind in "fiu"


@dataclass(frozen=True)
class Column:
    """One feature."""

    name: str
    type: ColumnType
    required: bool = True


class InputSchema:
    """The columns, in the model's order; `is_plain` if all are 64-bit floats."""

    def __init__(self, columns: Sequence[Column], max_rows: int) -> None:
        self.columns = tuple(columns)
        self.names = [column.name for column in columns]
        self._max_rows = max_rows
        self._index = pd.Index(self.names)
        self.is_plain = all(column.type is DOUBLE for column in columns)
        self._text = [index for index, column in enumerate(columns) if column.type is STRING]
        self._known = frozenset(self.names)
        self._required = frozenset(column.name for column in columns if column.required)
        self._pick: Callable[[Any], Row] = (
            itemgetter(*self.names) if len(columns) > 1 else lambda row: (row[self.names[0]],)
        )

    def parse_rows(self, data: object, path: str) -> list[Row]:
        """Check a list of rows, each an object or a list in the model's order. Raises RequestError.

        `path` is the place of `data` in the request's body, for messages.
        """
        if type(data) is not list:
            raise invalid_input(f"{path}: must be a list of rows")
        self.check_row_count(len(data), path)
        return [self._parse_row(row, f"{path}[{number}]") for number, row in enumerate(data)]

    def parse_row(self, data: object, path: str) -> list[Row]:
        """The same for one row."""
        return [self._parse_row(data, path)]

    def check_row_count(self, rows: int, path: str) -> None:
        """Raises RequestError if there are no rows, or too many."""
        if rows == 0:
            raise invalid_input(f"{path}: must have at least one row")
        if rows > self._max_rows:
            raise payload_too_large(
                f"{path}: has {rows} rows; a request may have at most {self._max_rows} (MAX_BATCH_SIZE)"
            )

    def to_array(self, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
        """Checked rows as one array; for a plain schema."""
        return np.array(rows, dtype=np.float64)

    def to_frame(self, rows: Sequence[Row]) -> pd.DataFrame:
        """Checked rows with their columns' names and types."""
        if self.is_plain:
            return pd.DataFrame(self.to_array(rows), columns=self._index, copy=False)
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        return pd.DataFrame({column.name: _to_series(column, values) for column, values in columns})

    def out_of_range(self, rows: Sequence[Row], dtype: str) -> RequestError | None:
        """The error for rows whose largest value does not fit into the model's own dtype; None without numbers."""
        numeric = [index for index, column in enumerate(self.columns) if column.type.is_numeric]
        if not numeric:
            return None
        index = max(numeric, key=lambda index: max(abs(row[index] or 0) for row in rows))
        return invalid_input(f"feature '{self.names[index]}' is too large: the model computes with {dtype}")

    def missing_value(self, rows: Sequence[Row]) -> RequestError | None:
        """The error for a null that the signature allows but the model does not; None if no row has one."""
        names = [name for index, name in enumerate(self.names) if any(row[index] is None for row in rows)]
        return invalid_input(f"the model does not accept null for {_quote(names)}") if names else None

    def unknown_category(self) -> RequestError:
        """The error for a value that the model's encoder has not seen in training."""
        names = [column.name for column in self.columns if not column.type.is_numeric] or self.names
        return invalid_input(f"a value of {_quote(names)} is not one of the categories that the model was trained with")

    def estimate_bytes(self, rows: Sequence[Row]) -> int:
        """The approximate memory that checked rows take."""
        text = sum(sys.getsizeof(row[index]) for row in rows for index in self._text) if self._text else 0
        return text + _VALUE_BYTES * len(self.columns) * len(rows)

    def to_mapping(self, row: Row) -> dict[str, Any]:
        """A row with its names, for the inference log."""
        return dict(zip(self.names, row, strict=True))

    def _parse_row(self, row: object, path: str) -> Row:
        if type(row) is dict:
            values = self._values_of_object(row, path)
        elif type(row) is list:
            values = self._values_of_list(row, path)
        else:
            raise invalid_input(f"{path}: a row must be an object of features, or a list of {len(self.columns)} values")
        if self.is_plain and _NUMBERS.issuperset(map(type, values)) and _are_finite(values):
            return values
        return tuple(self._parse_value(index, value, path) for index, value in enumerate(values))

    def _values_of_object(self, row: Mapping[str, Any], path: str) -> Row:
        if row.keys() == self._known:
            return self._pick(row)
        missing, extra = self._required - row.keys(), row.keys() - self._known
        if missing:
            raise invalid_input(f"{path}: {_list_features(missing, self.names)} missing, and required")
        if extra:
            features = _list_features(extra, sorted(extra))
            raise invalid_input(f"{path}: {features} unknown; the model's features are {_quote(self.names)}")
        return tuple(map(row.get, self.names))

    def _values_of_list(self, row: list[Any], path: str) -> Row:
        if len(row) != len(self.columns):
            raise invalid_input(f"{path}: has {len(row)} values, must have {len(self.columns)}: {_quote(self.names)}")
        return tuple(row)

    def _parse_value(self, index: int, value: object, path: str) -> Any:
        column = self.columns[index]
        if value is None:
            if column.required:
                raise invalid_input(f"{path}: feature '{self.names[index]}' must not be null")
            return None
        try:
            return column.type.parse(value)
        except _InvalidValueError as error:
            raise invalid_input(f"{path}: feature '{self.names[index]}' {error}") from None


def _parse_double(value: Any) -> float:
    if type(value) not in _NUMBERS:
        raise _InvalidValueError(f"must be a number, not {_json_type(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _InvalidValueError("must be finite, not NaN or Infinity (a missing value is null, if allowed)")
    return number


def _parse_single(value: Any) -> float:
    number = _parse_double(value)
    if abs(number) > np.finfo(np.float32).max:
        raise _InvalidValueError("must fit into 32 bits")
    return number


def _integer_parser(bits: int) -> Callable[[Any], int]:
    bound = 1 << (bits - 1)

    def parse(value: Any) -> int:
        if _parse_double(value) != int(value):
            raise _InvalidValueError("must be a whole number")
        if not -bound <= int(value) < bound:
            raise _InvalidValueError(f"must fit into {bits} bits")
        return int(value)

    return parse


def _parse_boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _InvalidValueError(f"must be true or false, not {_json_type(value)}")
    return value


def _parse_string(value: Any) -> str:
    if type(value) is not str:
        raise _InvalidValueError(f"must be a string, not {_json_type(value)}")
    return value


def _parse_datetime(value: Any) -> datetime:
    """A time without a zone, as in data frames; a time with a zone is converted to UTC."""
    try:
        moment = datetime.fromisoformat(_parse_string(value))
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except ValueError:
        raise _InvalidValueError("must be a date and time in ISO 8601") from None
    except OverflowError:  # in UTC it is before the year 1, or after 9999
        moment = datetime.min
    if not _EARLIEST <= moment <= _LATEST:
        raise _InvalidValueError(f"must be between {_EARLIEST.year + 1} and {_LATEST.year - 1}")
    return moment


_OBJECT = np.dtype(object)
BOOLEAN = ColumnType("BOOL", np.dtype(np.bool_), _parse_boolean)
INTEGER = ColumnType("INT32", np.dtype(np.int32), _integer_parser(32))
LONG = ColumnType("INT64", np.dtype(np.int64), _integer_parser(64))
FLOAT = ColumnType("FP32", np.dtype(np.float32), _parse_single)
DOUBLE = ColumnType("FP64", np.dtype(np.float64), _parse_double)
STRING = ColumnType("BYTES", _OBJECT, _parse_string)
DATETIME = ColumnType("BYTES", np.dtype("datetime64[ns]"), _parse_datetime)


def _to_series(column: Column, values: Sequence[Any]) -> Any:
    """One column's values. Numbers with gaps become floats with NaN, as pandas itself would read them."""
    if column.type.is_numeric:
        return np.array(values, dtype=np.float64 if None in values else column.type.numpy)
    if column.type.numpy == _OBJECT or None in values:
        return list(values)
    return np.array(values, dtype=column.type.numpy)


def _are_finite(values: Row) -> bool:
    """Whether all are finite. False also if the sum overflows: then each value is checked."""
    try:
        return math.isfinite(sum(values))
    except OverflowError:
        return False


def _json_type(value: object) -> str:
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _list_features(names: frozenset[str] | set[str], order: Sequence[str]) -> str:
    ordered = [name for name in order if name in names]
    return f"feature{'s' * (len(ordered) > 1)} {_quote(ordered)} {'are' if len(ordered) > 1 else 'is'}"


def _quote(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:80]}'" for name in names[:_MAX_NAMES])
    return shown + (f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else "")
