"""The records of an experiment. All times are the router's, in seconds since 1970: clients' clocks are not used.

Records are only ever added, and a record always has the same key: writing one twice changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

SHARDS = 16
"""Partitions of an experiment's results.

A single one would be limited to 1,000 writes of 1 KB per second in DynamoDB, and to 20 GB in Cosmos DB:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
https://learn.microsoft.com/azure/cosmos-db/concepts-limits
"""


@dataclass(frozen=True)
class Assignment:
    """A user's variant since `time`; `user` is a pseudonym."""

    kind: ClassVar = "assignment"
    experiment: str
    user: str
    variant: str
    bucket: int
    time: float

    @property
    def recorded(self) -> str:
        """The key within an experiment and user."""
        return _timestamp(self.time)


@dataclass(frozen=True)
class _Result:
    experiment: str
    request_id: str
    time: float

    kind: ClassVar = ""

    @property
    def shard(self) -> str:
        """The partition: the same for a prediction and its outcomes."""
        return _name_shard(self.experiment, _digest(self.request_id)[0] % SHARDS)

    @property
    def recorded(self) -> str:
        """The key within the shard: by time."""
        return f"{_timestamp(self.time)}~{self.kind}~{_digest(self._identity).hex()[:16]}"

    @property
    def _identity(self) -> str:
        return self.request_id


@dataclass(frozen=True)
class Prediction(_Result):
    """A request of an assigned user.

    variant    the assigned one; `served_by` differs from it if the champion answered for the challenger
    fallback   why it did: `timeout`, `connection` or `status`; empty if it did not
    seconds    from the request's arrival to its response
    response   the response's body as text; empty if it is longer than MAX_RESPONSE bytes
    share      the challenger's, in hundredths of a percent, which determined the variant with the user's bucket
    """

    kind: ClassVar = "prediction"
    MAX_RESPONSE: ClassVar = 2048  # stores bill each KB
    user: str
    variant: str
    served_by: str
    fallback: str
    status: int
    seconds: float
    response: str
    share: int


@dataclass(frozen=True)
class Outcome(_Result):
    """The outcome of a prediction, as a client reported it at `time`; `name` is one of the experiment's outcomes."""

    kind: ClassVar = "outcome"
    name: str
    value: float

    @property
    def _identity(self) -> str:
        return f"{self.name}/{self.request_id}"


Result = Prediction | Outcome
Record = Assignment | Result

# Cached with the names of the fields, since the writer converts every document to a record.
_TYPES: Mapping[str, tuple[type[Record], Sequence[str]]] = {
    type_.kind: (type_, [field.name for field in fields(type_)]) for type_ in (Assignment, Prediction, Outcome)
}


def to_document(record: Record) -> dict[str, Any]:
    """The record as a JSON object."""
    return {"kind": record.kind, **vars(record)}


def from_document(document: Mapping[str, Any]) -> Record:
    """The record of a document, which may have other fields."""
    type_, names = _TYPES[document["kind"]]
    return type_(**{name: document[name] for name in names})


def shards(experiment: str) -> list[str]:
    """The partitions of an experiment's results: `<experiment>.00` to `<experiment>.15`."""
    return [_name_shard(experiment, number) for number in range(SHARDS)]


def _name_shard(experiment: str, number: int) -> str:
    return f"{experiment}.{number:02}"


def _timestamp(seconds: float) -> str:
    """ISO 8601 with microseconds, which sorts by time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
