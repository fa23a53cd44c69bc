"""Proves which variables a rehearsal sets for its child processes. Their effect is measured, not tested."""

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


def test_go_programs_collect_garbage_less_often_if_there_is_enough_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _configure(monkeypatch, 16)
    assert (found["GOGC"], found["GOMEMLIMIT"]) == ("300", "2GiB")


def test_go_programs_have_gos_default_if_memory_is_scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"GOGC", "GOMEMLIMIT"} & set(_configure(monkeypatch, 7))


def test_a_value_that_the_user_has_set_is_retained(monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ["GOGC"] = "50"
    assert _configure(monkeypatch, 16)["GOGC"] == "50"


def test_this_machine_is_exempt_from_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _configure(monkeypatch, 16)["no_proxy"] == "internal,localhost,127.0.0.1,::1"
