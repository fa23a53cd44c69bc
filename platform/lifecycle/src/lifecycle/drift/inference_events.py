"""Inference events as serving writes them, to rows of the log's table: see lifecycle/serving/inference_log.py.

A CloudEvent has the inputs and outputs of one request; each of its rows becomes a row of the table. Numbers and
booleans become doubles: a client may send 1 to a model that expects 1.0, and the event has the value as it was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lifecycle.drift.layout import EVENT_ID, INPUT, LATENCY, OUTPUT, REQUEST_ID, ROW, TIME, USER

Values = dict[str, float | str | None]

_TYPE = "dev.groundwork.inference"


class EventError(ValueError):
    """A line is not an inference event; the message says why."""


@dataclass(frozen=True)
class InferenceEvent:
    """One event: `rows` are the table's rows without types, `time` is in UTC."""

    id: str
    model: str
    version: str
    time: datetime
    rows: Sequence[Mapping[str, Any]]


def parse(line: bytes) -> InferenceEvent:
    """The event of one line. Raises EventError."""
    try:
        event = json.loads(line)
        if event["type"] != _TYPE:
            raise EventError("it has another type")
        data, time = event["data"], datetime.fromisoformat(event["time"])
        common = {
            EVENT_ID: str(event["id"]),
            REQUEST_ID: str(data["request_id"]),
            TIME: time.astimezone(UTC),
            LATENCY: float(data["latency_ms"]),
            USER: data.get("user"),
        }
        rows = [
            {**common, ROW: number, **values} for number, values in enumerate(_values(data["inputs"], data["outputs"]))
        ]
        return InferenceEvent(common[EVENT_ID], str(data["model"]), str(data["model_version"]), common[TIME], rows)
    except EventError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Its message may quote the event, which contains personal data.
        raise EventError(f"it is not an inference event ({type(error).__name__})") from None


def _values(inputs: Sequence[Mapping[str, Any]], outputs: Mapping[str, Sequence[Any]]) -> Iterator[Values]:
    for name, values in outputs.items():
        if len(values) != len(inputs):
            raise EventError(f"it has {len(inputs)} inputs and {len(values)} values of {name!r}")
    for number, row in enumerate(inputs):
        converted = {f"{INPUT}{name}": _convert(name, value) for name, value in row.items()}
        for name, predictions in outputs.items():
            converted |= _convert_output(name, predictions[number])
        yield converted


def _convert_output(name: str, prediction: Any) -> Values:
    """One column, or one for each element if the model returns a list per row, such as probabilities."""
    if isinstance(prediction, list):
        return {f"{OUTPUT}{name}_{place}": _convert(name, value) for place, value in enumerate(prediction)}
    return {f"{OUTPUT}{name}": _convert(name, prediction)}


def _convert(name: str, value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return float(value)
    raise EventError(f"the value of {name!r} is a {type(value).__name__}")
