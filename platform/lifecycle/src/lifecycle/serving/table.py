"""What a model takes: a table of typed columns, read from its signature. Every request is held against it.

Rows are checked one by one while they are plain Python values, so that a refusal names its feature; arrays and
frames are only made of rows that passed, for a whole batch at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from lifecycle.serving.refusals import Refusal, invalid, too_large

Row = tuple[Any, ...]
_NUMBERS = frozenset({int, float})
_MOST_NAMES = 5  # in one message


class _Wrong(Exception):
    """A value breaks its column's rule; the text is the rule."""


@dataclass(frozen=True)
class Kind:
    """A column's type.

    datatype  its name in the Open Inference Protocol
    numpy     the array's dtype; `object` leaves it to pandas
    read      checks a JSON value and returns what goes into the table; raises _Wrong
    """

    datatype: str
    numpy: np.dtype[Any]
    read: Callable[[Any], Any]

    @property
    def numeric(self) -> bool:
        return self.numpy.kind in "fiu"


@dataclass(frozen=True)
class Column:
    """One feature."""

    name: str
    kind: Kind
    required: bool = True


class Table:
    """The columns, in the model's order; `plain` where all are of 64-bit floats."""

    def __init__(self, columns: Sequence[Column], most_rows: int) -> None:
        self.columns = tuple(columns)
        self.names = [column.name for column in columns]
        self._most_rows = most_rows
        self._index = pd.Index(self.names)
        self.plain = all(column.kind is DOUBLE for column in columns)
        self._known = frozenset(self.names)
        self._needed = frozenset(column.name for column in columns if column.required)
        self._pick: Callable[[Any], Row] = (
            itemgetter(*self.names) if len(columns) > 1 else lambda row: (row[self.names[0]],)
        )

    def rows(self, data: object, where: str) -> list[Row]:
        """Check a list of rows, each an object or a list in the model's order. Raises Refusal."""
        if type(data) is not list:
            raise invalid(f"{where}: must be a list of rows")
        self.count(len(data), where)
        return [self._row(row, f"{where}[{number}]") for number, row in enumerate(data)]

    def row(self, data: object, where: str) -> list[Row]:
        """The same for one row."""
        return [self._row(data, where)]

    def count(self, rows: int, where: str) -> None:
        """Raises Refusal when there are no rows, or too many."""
        if rows == 0:
            raise invalid(f"{where}: must have at least one row")
        if rows > self._most_rows:
            raise too_large(f"{where}: has {rows} rows; at most {self._most_rows} (MAX_BATCH_SIZE) go into one request")

    def array(self, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
        """Rows that were checked, as one array; for a plain table."""
        return np.array(rows, dtype=np.float64)

    def frame(self, rows: Sequence[Row]) -> pd.DataFrame:
        """Rows that were checked, with their columns' names and types."""
        if self.plain:
            return pd.DataFrame(self.array(rows), columns=self._index, copy=False)
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        return pd.DataFrame({column.name: _array(column, values) for column, values in columns})

    def out_of_range(self, rows: Sequence[Row], numbers: str) -> Refusal:
        """The refusal of rows with a value, the largest of them, that the model's own numbers do not hold."""
        numeric = [index for index, column in enumerate(self.columns) if column.kind.numeric]
        index = max(numeric, key=lambda index: max(abs(row[index] or 0) for row in rows))
        return invalid(f"feature '{self.names[index]}' is too large: the model computes with {numbers}")

    def described(self, row: Row) -> dict[str, Any]:
        """A row with its names, for the inference log."""
        return dict(zip(self.names, row, strict=True))

    def _row(self, row: object, where: str) -> Row:
        if type(row) is dict:
            values = self._of_names(row, where)
        elif type(row) is list:
            values = self._of_order(row, where)
        else:
            raise invalid(f"{where}: a row must be an object of features, or a list of {len(self.columns)} values")
        if self.plain and _NUMBERS.issuperset(map(type, values)) and _finite(values):
            return values
        return tuple(self._value(index, value, where) for index, value in enumerate(values))

    def _of_names(self, row: Mapping[str, Any], where: str) -> Row:
        if row.keys() == self._known:
            return self._pick(row)
        missing, extra = self._needed - row.keys(), row.keys() - self._known
        if missing:
            raise invalid(f"{where}: {_list(missing, self.names)} missing, and required")
        if extra:
            raise invalid(f"{where}: {_list(extra, sorted(extra))} unknown; the model takes {_some(self.names)}")
        return tuple(map(row.get, self.names))

    def _of_order(self, row: list[Any], where: str) -> Row:
        if len(row) != len(self.columns):
            raise invalid(f"{where}: has {len(row)} values, must have {len(self.columns)}: {_some(self.names)}")
        return tuple(row)

    def _value(self, index: int, value: object, where: str) -> Any:
        column = self.columns[index]
        if value is None:
            if column.required:
                raise invalid(f"{where}: feature '{self.names[index]}' must not be null")
            return None
        try:
            return column.kind.read(value)
        except _Wrong as wrong:
            raise invalid(f"{where}: feature '{self.names[index]}' {wrong}") from None


def _double(value: Any) -> float:
    if type(value) not in _NUMBERS:
        raise _Wrong(f"must be a number, not {_json_type(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong("must be finite: NaN and Infinity are not numbers (null stands for a missing value, if allowed)")
    return number


def _single(value: Any) -> float:
    number = _double(value)
    if abs(number) > np.finfo(np.float32).max:
        raise _Wrong("must fit into 32 bits")
    return number


def _whole(bits: int) -> Callable[[Any], int]:
    bound = 1 << (bits - 1)

    def read(value: Any) -> int:
        if _double(value) != int(value):
            raise _Wrong("must be a whole number")
        if not -bound <= int(value) < bound:
            raise _Wrong(f"must fit into {bits} bits")
        return int(value)

    return read


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _Wrong(f"must be true or false, not {_json_type(value)}")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Wrong(f"must be a string, not {_json_type(value)}")
    return value


def _moment(value: Any) -> datetime:
    """A time without a zone, as tables hold it; one with a zone is turned to UTC."""
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        raise _Wrong("must be a date and time in ISO 8601") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


_OBJECT = np.dtype(object)
BOOLEAN = Kind("BOOL", np.dtype(np.bool_), _truth)
INTEGER = Kind("INT32", np.dtype(np.int32), _whole(32))
LONG = Kind("INT64", np.dtype(np.int64), _whole(64))
FLOAT = Kind("FP32", np.dtype(np.float32), _single)
DOUBLE = Kind("FP64", np.dtype(np.float64), _double)
STRING = Kind("BYTES", _OBJECT, _text)
DATETIME = Kind("BYTES", np.dtype("datetime64[ns]"), _moment)


def _array(column: Column, values: Sequence[Any]) -> Any:
    """One column's values. Numbers with holes become floats with NaN, as pandas itself would have read them."""
    if column.kind.numeric:
        return np.array(values, dtype=np.float64 if None in values else column.kind.numpy)
    if column.kind.numpy == _OBJECT or None in values:
        return list(values)
    return np.array(values, dtype=column.kind.numpy)


def _finite(values: Row) -> bool:
    """Whether all are finite. A sum that overflows says no, and the values are then looked at one by one."""
    try:
        return math.isfinite(sum(values))
    except OverflowError:
        return False


def _json_type(value: object) -> str:
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _list(names: frozenset[str] | set[str], order: Sequence[str]) -> str:
    ordered = [name for name in order if name in names]
    return f"feature{'s' * (len(ordered) > 1)} {_some(ordered)} {'are' if len(ordered) > 1 else 'is'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:80]}'" for name in names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
