"""The three stores for one contract: SQLite, real; DynamoDB, by moto; Cosmos DB, by support.cosmosdb.

Tables and containers have the keys that infra/aws/experiments.py and infra/azure/experiments.py declare. The keys are
read from the source, because this environment does not have Pulumi.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from lifecycle.experiment.cosmosdb_store import CosmosDbStore
from lifecycle.experiment.dynamodb_store import DynamoDbStore
from lifecycle.experiment.sqlite_store import SqliteStore
from lifecycle.experiment.store import Store
from support.cosmosdb import Account, Credential
from support.network import UNUSED_URL

INFRA = Path(__file__).resolve().parents[4] / "infra"
STORES = ("sqlite", "dynamodb", "cosmosdb")
PREFIX = "gw-experiments"
DATABASE = "experiments"


@dataclass(frozen=True)
class StoreUnderTest:
    """A store, and what a test can do to it.

    reopen    another process's store, with the same content
    throttle  reject the next write, with this delay in seconds if the store supports one
    disable   make it unavailable; `enable` restores it
    """

    store: Store
    reopen: Callable[[], Store]
    throttle: Callable[[float], None] | None
    disable: Callable[[], None]
    enable: Callable[[], None]
    has_retry_after: bool = False


@contextmanager
def open_store_under_test(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreUnderTest]:
    with {"sqlite": _sqlite, "dynamodb": _dynamodb, "cosmosdb": _cosmosdb}[name](folder, monkeypatch) as opened:
        yield opened
        opened.store.close()


def read_tables() -> Mapping[str, tuple[str, str]]:
    """Partition key and sort key of each DynamoDB table."""
    return {
        name: tuple(ast.literal_eval(argument) for argument in call.args)  # type: ignore[misc]
        for name, call in _read_dictionary("aws", "_TABLES").items()
    }


def read_containers() -> Mapping[str, tuple[str, ...]]:
    """Partition key of each container."""
    return {name: ast.literal_eval(paths) for name, paths in _read_dictionary("azure", "CONTAINERS").items()}


def _read_dictionary(cloud: str, variable: str) -> Mapping[str, Any]:
    """The values of a dictionary in a module, as syntax."""
    for statement in ast.parse((INFRA / cloud / "experiments.py").read_text()).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == variable for target in targets):
            dictionary = statement.value  # type: ignore[attr-defined]
            return {ast.literal_eval(key): value for key, value in zip(dictionary.keys, dictionary.values, strict=True)}
    raise AssertionError(f"infra/{cloud}/experiments.py has no {variable}")


@contextmanager
def _sqlite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreUnderTest]:  # noqa: ARG001
    path = str(folder / "experiments.db")
    store = SqliteStore(path)

    def disable() -> None:
        store._connection.execute("PRAGMA query_only = ON")

    def enable() -> None:
        store._connection.execute("PRAGMA query_only = OFF")

    yield StoreUnderTest(store, lambda: SqliteStore(path), None, disable, enable)


@contextmanager
def _dynamodb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreUnderTest]:  # noqa: ARG001
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("dynamodb")
        for name, keys in read_tables().items():
            client.create_table(
                TableName=f"{PREFIX}-{name}",
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[
                    {"AttributeName": key, "KeyType": type_} for key, type_ in zip(keys, ("HASH", "RANGE"), strict=True)
                ],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            )
        store = DynamoDbStore(PREFIX)
        events = store._client.meta.events

        def throttle(_: float) -> None:
            events.register_first("before-send.dynamodb", reject, unique_id="throttle")

        def reject(request: Any, **_: object) -> AWSResponse:
            events.unregister("before-send.dynamodb", unique_id="throttle")
            body = b'{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"}'
            return AWSResponse(request.url, 400, {}, _Raw(body))

        def fail(request: Any, **_: object) -> AWSResponse:
            return AWSResponse(request.url, 500, {}, _Raw(b'{"__type": "#InternalServerError", "message": "away"}'))

        yield StoreUnderTest(
            store,
            lambda: DynamoDbStore(PREFIX),
            throttle,
            lambda: events.register_first("before-send.dynamodb", fail, unique_id="fail"),
            lambda: events.unregister("before-send.dynamodb", unique_id="fail"),
        )


class _Raw:
    """The body of an HTTP response, as urllib3 has it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


@contextmanager
def _cosmosdb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreUnderTest]:  # noqa: ARG001
    account = Account(DATABASE, read_containers())
    with account.running(folder):

        def open_store() -> CosmosDbStore:
            return CosmosDbStore(f"https://{urlsplit(account.url).netloc}/", DATABASE, Credential())

        def throttle(seconds: float) -> None:
            account.throttled_requests, account.retry_after = 2, round(seconds * 1000)  # the SDK repeats it once

        yield StoreUnderTest(
            open_store(),
            open_store,
            throttle,
            lambda: setattr(account, "is_down", True),
            lambda: setattr(account, "is_down", False),
            has_retry_after=True,
        )


def open_unreachable(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store at an address where there is none."""
    if name == "dynamodb":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", UNUSED_URL)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        return DynamoDbStore(PREFIX)
    if name == "cosmosdb":
        return CosmosDbStore(UNUSED_URL.replace("http:", "https:"), DATABASE, Credential())
    return SqliteStore(str(folder / "missing" / "experiments.db"))
