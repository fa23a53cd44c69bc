"""The store in two DynamoDB tables, whose keys infra/aws/experiments.py declares.

An item is its keys and the record as JSON text: DynamoDB's own numbers cannot represent every float. If records are
kept for a limited time, it also has the second at which DynamoDB deletes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.experiment.records import Assignment, Record, Result, from_document, shards, to_document
from lifecycle.experiment.store import ASSIGNMENTS, RESULTS, RejectedError, UnavailableError, split

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_MAX_BATCH = 25
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException", "LimitExceededException"}
)
_REJECTED = frozenset({"ValidationException", "ItemCollectionSizeLimitExceededException", "SerializationException"})
# The writer itself backs off, for as long as necessary.
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})

EXPIRY = "expires"  # the attribute that infra/aws/experiments.py declares, in seconds since 1970
_DAY = 24 * 3600

Item = Mapping[str, Any]


class DynamoDbStore:
    """Implements Store."""

    def __init__(self, prefix: str, retention_days: int | None = None) -> None:
        """Raises UnavailableError if no region is configured."""
        self._prefix = prefix
        self._retention = retention_days * _DAY if retention_days else None
        with self._translate_errors():
            self._client = boto3.client("dynamodb", config=_CONFIG)

    def write(self, records: Sequence[Record]) -> None:
        items = {_key(record): self._put(record) for record in records}  # one call must not contain an item twice
        for batch in split(list(items.items()), _MAX_BATCH):
            requests: dict[str, list[Item]] = {}
            for (table, *_), request in batch:
                requests.setdefault(self._table(table), []).append(request)
            with self._translate_errors():
                unprocessed = self._client.batch_write_item(RequestItems=requests)["UnprocessedItems"]
            if unprocessed:
                left = sum(map(len, unprocessed.values()))
                raise UnavailableError(f"DynamoDB throttles: {left} of {len(batch)} items not written", "throttled")

    def read_assignments(self, experiment: str, user: str) -> list[Assignment]:
        condition = "#user = :user AND begins_with(recorded, :experiment)"
        values = {":user": {"S": user}, ":experiment": {"S": f"{experiment}~"}}
        return list(self._query(ASSIGNMENTS, condition, values, {"#user": "user"}))  # type: ignore[arg-type]

    def read_results(self, experiment: str) -> Iterator[Result]:
        for shard in shards(experiment):
            yield from self._query(RESULTS, "shard = :shard", {":shard": {"S": shard}})  # type: ignore[misc]

    def close(self) -> None:
        self._client.close()

    def _query(
        self, table: str, condition: str, values: Item, names: Mapping[str, str] | None = None
    ) -> Iterator[Record]:
        """`names` stand for attributes whose names are reserved words."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table(table),
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            **({"ExpressionAttributeNames": names} if names else {}),
        )
        with self._translate_errors():
            for page in pages:
                for item in page["Items"]:
                    yield from_document(orjson.loads(item["document"]["S"]))

    def _put(self, record: Record) -> Item:
        table, partition, sort = _key(record)
        values = {("user" if table == ASSIGNMENTS else "shard"): partition, "recorded": sort}
        values["document"] = orjson.dumps(to_document(record)).decode()
        item: dict[str, Any] = {name: {"S": value} for name, value in values.items()}
        if self._retention is not None:
            item[EXPIRY] = {"N": str(math.ceil(record.time + self._retention))}
        return {"PutRequest": {"Item": item}}

    def _table(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _REJECTED:
                raise RejectedError(f"DynamoDB rejects a record: {error}") from None
            raise UnavailableError(str(error), "throttled" if code in _THROTTLED else "unavailable") from None
        except BotoCoreError as error:
            raise UnavailableError(f"DynamoDB does not answer: {error}") from None


def _key(record: Record) -> tuple[str, str, str]:
    """Table, partition key and sort key."""
    if isinstance(record, Assignment):
        return ASSIGNMENTS, record.user, f"{record.experiment}~{record.recorded}"
    return RESULTS, record.shard, record.recorded
