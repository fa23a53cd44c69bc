"""One contract for all stores.

Real: SQLite, boto3, azure-cosmos. Simulated: DynamoDB, by moto; Cosmos DB, by support.cosmosdb, a server of its REST
protocol. Both have the tables and containers of the stacks. Not proven: the clouds' own throughput limits, their
permissions, which tests of the infrastructure cover, and TLS, because azure-cosmos treats 127.0.0.1 as its emulator.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from lifecycle.experiment.dynamodb_store import EXPIRY, DynamoDbStore
from lifecycle.experiment.records import SHARDS, Outcome, Record
from lifecycle.experiment.sqlite_store import SqliteStore
from lifecycle.experiment.store import StoreError, UnavailableError, open_store
from support.experiment import EXPERIMENT, TIME, assignment, outcome, prediction
from support.experiment_stores import (
    PREFIX,
    STORES,
    StoreUnderTest,
    open_store_under_test,
    open_unreachable,
    read_containers,
    read_tables,
)

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request is being made to host '127.0.0.1'")


# The stores of the clouds take half a second each.
@pytest.fixture(params=["sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in STORES if name != "sqlite")])
def tested(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreUnderTest]:
    with open_store_under_test(request.param, tmp_path, monkeypatch) as opened:
        yield opened


def test_another_process_reads_what_was_written(tested: StoreUnderTest) -> None:
    records: list[Record] = [
        assignment(),
        prediction(response='{"outputs": ["Zoë 李🙂 \\u0000"]}', fallback="timeout", served_by="champion"),
        outcome(),
    ]
    tested.store.write(records)
    other = tested.reopen()
    assert other.read_assignments(EXPERIMENT, "u1") == records[:1]
    assert sorted(other.read_results(EXPERIMENT), key=lambda result: result.time) == records[1:]
    other.close()


def test_writing_twice_changes_nothing(tested: StoreUnderTest) -> None:
    records: list[Record] = [assignment(), prediction(), outcome()]
    for batch in (records, records, records * 2):
        tested.store.write(batch)
    assert len(list(tested.store.read_results(EXPERIMENT))) == 2
    assert len(tested.store.read_assignments(EXPERIMENT, "u1")) == 1


def test_every_finite_number_is_stored_exactly(tested: StoreUnderTest) -> None:
    values = [0.1 + 0.2, -1e300, 5e-324, sys.float_info.max, 1e-140, float(2**53 + 2), 123456789.123456789]
    tested.store.write([outcome(f"r{number}", name="revenue", value=value) for number, value in enumerate(values)])
    found = {each.request_id: each.value for each in tested.store.read_results(EXPERIMENT) if isinstance(each, Outcome)}
    assert [found[f"r{number}"] for number in range(len(values))] == values
    assert all(map(math.isfinite, found.values()))


def test_many_records_are_written_at_once(tested: StoreUnderTest) -> None:
    """More than any service accepts in one call, in all shards."""
    results: list[Record] = [prediction(f"r{number}", TIME + number) for number in range(2000)]
    users: list[Record] = [assignment(f"u{number}") for number in range(40)]
    tested.store.write([*results, *users])
    found = list(tested.store.read_results(EXPERIMENT))
    assert sorted(found, key=lambda result: result.time) == results
    assert len({result.shard for result in found}) == SHARDS
    assert tested.store.read_assignments(EXPERIMENT, "u39") == [assignment("u39")]


def test_a_shards_results_are_read_by_time(tested: StoreUnderTest) -> None:
    results = [prediction(f"r{number}", TIME + (number * 37) % 100) for number in range(100)]
    tested.store.write(results)
    found = list(tested.store.read_results(EXPERIMENT))
    assert found == sorted(results, key=lambda result: (result.shard, result.time))


def test_a_users_assignments_are_read_oldest_first_of_one_experiment(tested: StoreUnderTest) -> None:
    first, second = assignment(variant="champion"), assignment(at=TIME + 0.001)
    others = [assignment("u2"), *(type(first)(name, "u1", "champion", 1, TIME) for name in ("churn", "churn-forest-2"))]
    tested.store.write([second, *others, first])
    assert tested.store.read_assignments(EXPERIMENT, "u1") == [first, second]
    assert tested.store.read_assignments("churn", "u1") == others[1:2]
    assert tested.store.read_assignments(EXPERIMENT, "nobody") == []


def test_the_results_of_other_experiments_are_not_read(tested: StoreUnderTest) -> None:
    tested.store.write([prediction(experiment=name) for name in ("churn", EXPERIMENT, f"{EXPERIMENT}-2")])
    assert list(tested.store.read_results(EXPERIMENT)) == [prediction()]
    assert list(tested.store.read_results("unknown")) == []


def test_nothing_to_write_is_not_an_error(tested: StoreUnderTest) -> None:
    tested.store.write([])


def test_an_unavailable_store_reports_it_and_works_when_it_is_back(tested: StoreUnderTest) -> None:
    tested.store.write([prediction("before")])
    tested.disable()
    with pytest.raises(UnavailableError):
        tested.store.write([prediction("r1"), outcome("r1"), assignment()])
    tested.enable()
    tested.store.write([prediction("r1"), outcome("r1"), assignment()])
    assert len(list(tested.store.read_results(EXPERIMENT))) == 3


@pytest.mark.parametrize("name", ["dynamodb", "cosmosdb"])
def test_throttling_is_recognized_with_the_delay_that_the_store_requests(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store_under_test(name, tmp_path, monkeypatch) as tested:
        assert tested.throttle is not None
        tested.store.write([prediction("before")])
        tested.throttle(0.25)
        with pytest.raises(UnavailableError) as error:
            tested.store.write([prediction("r1")])
        assert error.value.reason == "throttled"
        assert error.value.retry_after == (0.25 if tested.has_retry_after else 0)
        tested.store.write([prediction("r1")])
        assert len(list(tested.store.read_results(EXPERIMENT))) == 2


def test_a_record_in_dynamodb_has_its_expiry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store_under_test("dynamodb", tmp_path, monkeypatch):
        store = DynamoDbStore(PREFIX, retention_days=30)
        store.write([prediction(), assignment()])
        items = [
            item
            for table in read_tables()
            for item in boto3.client("dynamodb").scan(TableName=f"{PREFIX}-{table}")["Items"]
        ]
        assert [item[EXPIRY] for item in items] == [{"N": str(math.ceil(TIME) + 30 * 24 * 3600)}] * 2
        assert list(store.read_results(EXPERIMENT)) == [prediction()]


@pytest.mark.parametrize("name", STORES)
def test_a_store_that_cannot_be_reached_is_unavailable(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnavailableError):
        open_unreachable(name, tmp_path, monkeypatch).write([prediction()])


def test_a_full_store_reports_it_and_accepts_records_when_there_is_room(tmp_path: Path) -> None:
    """Only SQLite's store can be filled in a test: a file that may not grow is like a full disk to it."""
    store = SqliteStore(str(tmp_path / "experiments.db"))
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    records = [prediction(f"r{number}") for number in range(1000)]
    with pytest.raises(UnavailableError) as error:
        store.write(records)
    assert error.value.reason == "full"
    assert list(store.read_results(EXPERIMENT)) == []
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.write(records)
    assert len(list(store.read_results(EXPERIMENT))) == 1000
    store.close()


def test_if_dynamodb_accepts_part_of_a_batch_the_rest_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`UnprocessedItems`, which moto does not return by itself: the call's result is replaced once."""
    with open_store_under_test("dynamodb", tmp_path, monkeypatch) as tested:
        client = tested.store._client  # type: ignore[attr-defined]
        original = client.batch_write_item

        def process_a_part(**request: object) -> object:
            client.batch_write_item = original
            return {"UnprocessedItems": request["RequestItems"]}

        client.batch_write_item = process_a_part
        with pytest.raises(UnavailableError, match="1 of 1 items not written") as error:
            tested.store.write([prediction()])
        assert error.value.reason == "throttled"
        tested.store.write([prediction()])
        assert list(tested.store.read_results(EXPERIMENT)) == [prediction()]


def test_the_stacks_tables_and_containers_have_the_keys_that_the_stores_use() -> None:
    """The tables that the fixtures above create; only this test says what they must be."""
    assert {name: read_tables()[name] for name in ("assignments", "results")} == {
        "assignments": ("user", "recorded"),
        "results": ("shard", "recorded"),
    }
    assert {name: read_containers()[name] for name in ("assignments", "results")} == {
        "assignments": ("/experiment", "/user"),
        "results": ("/shard",),
    }


@pytest.mark.parametrize(
    "url", ["", "experiments.db", "sqlite://", "sqlite:///", "dynamodb://", "cosmosdb://host", "postgresql://host/db"]
)
def test_an_address_that_is_not_a_store_is_a_clear_error(url: str) -> None:
    with pytest.raises(StoreError, match=r"EXPERIMENT_STORE is .*set it to sqlite:///<path>, dynamodb://<prefix> or"):
        open_store(url)
