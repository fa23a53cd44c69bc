"""The rehearsal's file: what it remembers, what it never holds, and what it says when it is damaged.

Proves it on real files. The engine's own state is not its business.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import DamagedStateError, StateStore
from rehearsal.simulator.core.values import Values
from tests.support.toy_cloud import CLOUD, SAFE

SECRET = "correct-horse-battery-staple"


def test_what_exists_is_remembered_between_commands(tmp_path: Path) -> None:
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


def test_a_secret_comes_back_only_to_those_who_know_it(tmp_path: Path) -> None:
    state = StateStore(tmp_path / "state.db")
    simulation = Simulation(CLOUD, state)
    inputs = Values({"name": "s", "pin": SECRET}, {("pin",)})
    simulation.create("urn::safe", SAFE, inputs, preview=False)
    knowing = simulation.read(SAFE, "safe/s", inputs, Values())
    guessing = simulation.read(SAFE, "safe/s", Values({"pin": "wrong"}), Values())
    state.close()
    assert knowing is not None
    assert guessing is not None
    assert knowing[0].plain["pin"] == SECRET
    assert ("pin",) in knowing[0].secrets
    assert "pin" not in guessing[0].plain


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be one" * 20, b"\x00" * 4096])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(DamagedStateError, match=r"state\.db cannot be read"):
        StateStore(path)


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateStore(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedStateError, match=r"state\.db cannot be read"):
        StateStore(path)


def test_a_file_of_another_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(DamagedStateError, match="has format 99, this Groundwork reads 1"):
        StateStore(path)


def test_azures_ids_compare_without_case_and_others_exactly() -> None:
    state = StateStore(":memory:")
    simulation = Simulation(CLOUD, state)
    simulation.create("urn::safe", SAFE, Values({"name": "s"}), preview=False)
    assert state.find("safe/s") is not None
    assert state.find("SAFE/S") is None
    state.close()
