"""Proves which variables a rehearsal sets for all that it starts. Not what they save: that is measured, not tested."""

from __future__ import annotations

import os

import pytest

from rehearsal import process_environment


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"NO_PROXY": "internal"})


def _configure(monkeypatch: pytest.MonkeyPatch, gibibytes: int) -> dict[str, str]:
    monkeypatch.setattr(process_environment, "memory", lambda: gibibytes << 30)
    process_environment.configure_process()
    return dict(os.environ)


def test_go_programs_collect_garbage_less_often_where_memory_is_plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _configure(monkeypatch, 16)
    assert (found["GOGC"], found["GOMEMLIMIT"]) == ("300", "2GiB")


def test_they_keep_gos_default_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"GOGC", "GOMEMLIMIT"} & set(_configure(monkeypatch, 7))


def test_a_value_of_the_users_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ["GOGC"] = "50"
    assert _configure(monkeypatch, 16)["GOGC"] == "50"


def test_this_machine_is_exempt_from_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _configure(monkeypatch, 16)["no_proxy"] == "internal,localhost,127.0.0.1,::1"
