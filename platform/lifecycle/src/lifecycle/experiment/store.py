"""The interface of all stores, and the choice of one.

    sqlite:///<path>                    a file, for one machine
    dynamodb://<prefix>                 the tables <prefix>-assignments and <prefix>-results, in boto3's region
    cosmosdb://<host>[:port]/<database> the containers assignments and results of an account

The writer signs in to a cloud with its workload identity (boto3's and azure-identity's default chains), without keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from lifecycle.core import LifecycleError
from lifecycle.experiment.records import Assignment, Record, Result

T = TypeVar("T")

ASSIGNMENTS, RESULTS = "assignments", "results"  # tables in DynamoDB and SQLite, containers in Cosmos DB


class StoreError(LifecycleError):
    """The store cannot be used; the message is its own."""


class UnavailableError(StoreError):
    """The store does not answer, throttles, is full, or rejects the identity: the same write may succeed later.

    `reason` is one word for metrics; `retry_after` is the number of seconds that the store requests to wait, or 0.
    """

    def __init__(self, message: str, reason: str = "unavailable", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class RejectedError(StoreError):
    """The store will never accept at least one of these records."""


class Store(Protocol):
    """Records, which are only added. Safe for several processes."""

    def write(self, records: Sequence[Record]) -> None:
        """Add records; adding one twice changes nothing.

        If it raises UnavailableError or RejectedError, some may have been added: repeat all.
        """

    def read_assignments(self, experiment: str, user: str) -> list[Assignment]:
        """The assignments of a user (a pseudonym), oldest first. Raises UnavailableError."""

    def read_results(self, experiment: str) -> Iterator[Result]:
        """All predictions and outcomes of an experiment, ordered by time within a shard. Raises UnavailableError."""

    def close(self) -> None: ...


def split(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def open_store(url: str, retention_days: int | None = None) -> Store:
    """
    retention_days  of records in DynamoDB, which keeps them forever if None

    Raises StoreError. A cloud's libraries are imported only if they are used: that takes seconds.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from lifecycle.experiment.sqlite_store import SqliteStore

        return SqliteStore(rest[1:])
    if scheme == "dynamodb" and rest:
        from lifecycle.experiment.dynamodb_store import DynamoDbStore

        return DynamoDbStore(rest, retention_days)
    parts = urlsplit(url)
    if scheme == "cosmosdb" and parts.netloc and len(parts.path) > 1:
        from lifecycle.experiment.cosmosdb_store import CosmosDbStore

        return CosmosDbStore(f"https://{parts.netloc}/", parts.path[1:])
    raise StoreError(
        f"EXPERIMENT_STORE is {url!r}, which is not a store: set it to sqlite:///<path>, dynamodb://<prefix> or "
        "cosmosdb://<host>/<database>"
    )
