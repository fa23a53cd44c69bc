"""The state file: resources survive, secrets are never in it, and a damaged file is reported.

Proves it on real files. The engine's own state is not covered here.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import DamagedStateError, ResourceRecord, StateStore
from rehearsal.simulator.core.values import Values
from tests.support.toy_cloud import CLOUD, SAFE

SECRET = "correct-horse-battery-staple"


def test_resources_survive_between_commands(tmp_path: Path) -> None:
    first = StateStore(tmp_path / "state.db")
    _, outputs = Simulation(CLOUD, first).create("urn::safe", SAFE, Values({"name": "s"}), preview=False)
    first.close()
    second = StateStore(tmp_path / "state.db")
    found = Simulation(CLOUD, second).read(SAFE, "safe/s", Values({"name": "s"}), outputs)
    second.close()
    assert found is not None
    assert found[1].plain == outputs.plain


def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    state = StateStore(tmp_path / "state.db")
    inputs = Values({"name": "s", "pin": SECRET, "deep": {"list": [SECRET]}}, {("pin",), ("deep", "list", 0)})
    _, outputs = Simulation(CLOUD, state).create("urn::safe", SAFE, inputs, preview=False)
    state.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"safe/s" in written
    assert SECRET.encode() not in written
    assert outputs.plain["code"].encode() not in written


def test_a_secret_is_restored_only_from_the_same_value(tmp_path: Path) -> None:
    state = StateStore(tmp_path / "state.db")
    simulation = Simulation(CLOUD, state)
    inputs = Values({"name": "s", "pin": SECRET}, {("pin",)})
    simulation.create("urn::safe", SAFE, inputs, preview=False)
    with_value = simulation.read(SAFE, "safe/s", inputs, Values())
    with_wrong_value = simulation.read(SAFE, "safe/s", Values({"pin": "wrong"}), Values())
    state.close()
    assert with_value is not None
    assert with_wrong_value is not None
    assert with_value[0].plain["pin"] == SECRET
    assert ("pin",) in with_value[0].secrets
    assert "pin" not in with_wrong_value[0].plain


def test_a_secret_under_a_key_with_dots_is_restored() -> None:
    state = StateStore(":memory:")
    inputs = Values({"name": "s", "pins": {"example.com/pin": SECRET}}, {("pins", "example.com/pin")})
    simulation = Simulation(CLOUD, state)
    simulation.create("urn::safe", SAFE, inputs, preview=False)
    restored = simulation.read(SAFE, "safe/s", inputs, Values())
    state.close()
    assert restored is not None
    assert restored[0] == inputs


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be one" * 20, b"\x00" * 4096])
def test_a_file_that_is_not_a_state_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(DamagedStateError, match=r"state\.db cannot be read"):
        StateStore(path)


def test_a_truncated_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateStore(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedStateError, match=r"state\.db cannot be read"):
        StateStore(path)


def test_a_file_of_another_format_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(DamagedStateError, match="has format 99, this Groundwork reads 1"):
        StateStore(path)


def test_only_azures_ids_are_case_insensitive() -> None:
    state = StateStore(":memory:")
    simulation = Simulation(CLOUD, state)
    simulation.create("urn::safe", SAFE, Values({"name": "s"}), preview=False)
    assert state.find("safe/s") is not None
    assert state.find("SAFE/S") is None
    state.close()


def test_an_arn_among_the_inputs_belongs_to_another_resource() -> None:
    def target(rule: str) -> ResourceRecord:
        inputs = {"rule": rule, "arn": "arn:toy:queue"}
        return ResourceRecord("toy:index:Target", f"{rule}-target", f"urn::{rule}", 1, inputs, inputs)

    queue = ResourceRecord("toy:index:Queue", "https://queue", "urn::queue", 1, {}, {"arn": "arn:toy:queue"})
    state = StateStore(":memory:")
    for record in (queue, target("one"), target("two")):
        state.put(record)
    assert state.find("arn:toy:queue") == queue
    assert state.find_referrers(target("one")) == []
    assert [user.id for user in state.find_referrers(queue)] == ["one-target", "two-target"]


def test_resources_with_the_arn_of_the_same_parent_do_not_use_each_other() -> None:
    def version(number: str) -> ResourceRecord:
        arn = "arn:toy:secret"
        return ResourceRecord(
            "toy:index:Version", f"{arn}|{number}", f"urn::{number}", 1, {"secretId": arn}, {"arn": arn}
        )

    secret = ResourceRecord("toy:index:Secret", "arn:toy:secret", "urn::secret", 1, {}, {"arn": "arn:toy:secret"})
    state = StateStore(":memory:")
    for record in (secret, version("former"), version("latter")):
        state.put(record)
    assert state.find_referrers(version("former")) == []
    assert len(state.find_referrers(secret)) == 2
