"""The store in two containers of Cosmos DB (NoSQL API), whose partition keys infra/azure/experiments.py declares.

An item is the record's fields, with `id`, and for a result its `shard`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.cosmos import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from azure.identity import DefaultAzureCredential

from lifecycle.experiment.records import Assignment, Record, Result, from_document, shards, to_document
from lifecycle.experiment.store import ASSIGNMENTS, RESULTS, RejectedError, UnavailableError, split

# Operations of a transactional batch: https://learn.microsoft.com/azure/cosmos-db/concepts-limits#per-request-limits
_MAX_BATCH = 100
# Errors that a retry cannot resolve: https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb
_REJECTED = (400, 413)
_THROTTLED = 429
_RETRY_AFTER = "x-ms-retry-after-ms"
# The writer itself backs off, for as long as necessary. The SDK would replace 0 with its default, which is 9.
_OPTIONS: dict[str, Any] = {"retry_total": 1, "retry_throttle_total": 1, "connection_timeout": 5, "read_timeout": 10}

Item = dict[str, Any]


class CosmosDbStore:
    """Implements Store. It connects on first use, so a process can start while the account is unavailable."""

    def __init__(self, endpoint: str, database: str, credential: TokenCredential | None = None) -> None:
        """`credential` is by default the process's own identity."""
        self._endpoint = endpoint
        self._database_name = database
        self._credential = credential or DefaultAzureCredential()
        self._connecting = threading.Lock()
        self._client: CosmosClient | None = None
        self._database: DatabaseProxy | None = None

    def write(self, records: Sequence[Record]) -> None:
        by_shard: dict[str, list[Item]] = {}
        with self._translate_errors():
            for record in records:
                if isinstance(record, Assignment):  # each is in its own partition
                    self._container(ASSIGNMENTS).upsert_item(to_item(record))
                else:
                    by_shard.setdefault(record.shard, []).append(to_item(record))
            for shard, items in by_shard.items():
                for batch in split(items, _MAX_BATCH):
                    operations = [("upsert", (item,)) for item in batch]
                    self._container(RESULTS).execute_item_batch(operations, partition_key=shard)

    def read_assignments(self, experiment: str, user: str) -> list[Assignment]:
        return list(self._query(ASSIGNMENTS, [experiment, user]))  # type: ignore[arg-type]

    def read_results(self, experiment: str) -> Iterator[Result]:
        for shard in shards(experiment):
            yield from self._query(RESULTS, shard)  # type: ignore[misc]

    def close(self) -> None:
        if self._client is not None:
            self._client.__exit__()  # type: ignore[no-untyped-call]

    def _query(self, container: str, partition: str | list[str]) -> Iterator[Record]:
        with self._translate_errors():
            items = self._container(container).query_items("SELECT * FROM c ORDER BY c.id", partition_key=partition)
            for item in items:
                yield from_document(item)

    def _container(self, name: str) -> ContainerProxy:
        with self._connecting:
            if self._database is None:
                self._client = CosmosClient(self._endpoint, self._credential, **_OPTIONS)
                self._database = self._client.get_database_client(self._database_name)
        return self._database.get_container_client(name)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
            raise self._explain(error) from None
        except ClientAuthenticationError as error:
            raise UnavailableError(f"no identity for Cosmos DB at {self._endpoint}: {_first_line(error)}") from None
        except AzureError as error:
            raise UnavailableError(f"Cosmos DB does not answer at {self._endpoint}: {_first_line(error)}") from None

    def _explain(self, error: CosmosHttpResponseError | CosmosBatchOperationError) -> UnavailableError | RejectedError:
        status, message = error.status_code, f"Cosmos DB at {self._endpoint}: {_first_line(error)}"
        if status in _REJECTED:
            return RejectedError(message)
        headers = getattr(error, "headers", None) or {}
        retry_after = float(headers.get(_RETRY_AFTER) or 0) / 1000
        return UnavailableError(message, "throttled" if status == _THROTTLED else "unavailable", retry_after)


def to_item(record: Record) -> Item:
    """The record as an item, with the fields that Cosmos DB needs."""
    item = {"id": record.recorded, **to_document(record)}
    return item if isinstance(record, Assignment) else {**item, "shard": record.shard}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
