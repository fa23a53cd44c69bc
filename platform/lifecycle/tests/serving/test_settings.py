"""The environment: what it may say, and the one message for all that is wrong in it. Nothing is served then."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from served import start

from lifecycle.serving import settings

GOOD = {"MLFLOW_TRACKING_URI": "http://mlflow", "MODEL_NAME": "m"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MODEL_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, **GOOD)
    told = settings.read()
    assert (told.port, told.inference_timeout, told.max_batch_size, told.drain_timeout) == (8000, 30, 32, 30)
    assert (told.log_level, told.choice) == ("info", "alias champion")
    assert (told.feature_micro_batching, told.feature_inference_log, told.feature_tracing) == (True, True, True)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_there_is_a_worker_per_core_and_four_at_most(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cores: int, workers: int
) -> None:
    tell(monkeypatch, **GOOD)
    machine(monkeypatch, tmp_path, cores, "max 100000")
    assert settings.read().workers == workers


@pytest.mark.parametrize(
    ("quota", "workers"),
    [("max 100000", 4), ("300000 100000", 3), ("150000 100000", 2), ("10000 100000", 1), ("900000 100000", 4), ("", 4)],
)
def test_a_containers_share_of_the_processor_counts_as_its_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, workers: int
) -> None:
    tell(monkeypatch, **GOOD)
    machine(monkeypatch, tmp_path, 4, quota)
    assert settings.read().workers == workers


def test_more_workers_than_cores_are_had_by_saying_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, **GOOD, WORKERS="64")
    assert settings.read().workers == 64


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MODEL_NAME", "", "at least 1 character"),
        ("MODEL_VERSION", "latest", "integer"),
        ("MODEL_ALIAS", "a b", "pattern"),
        ("PORT", "70000", "65535"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("LOG_LEVEL", "loud", "debug"),
        ("INFERENCE_TIMEOUT", "0", "greater than 0"),
        ("MAX_BATCH_SIZE", "many", "integer"),
        ("DRAIN_DELAY", "30", "shorter than DRAIN_TIMEOUT"),
        ("INFERENCE_LOG_SINK", "ftp://sink", "http://"),
        ("INFERENCE_LOG_SINK", "file://relative/path", "absolute"),
        ("ERROR_HOOK", "no.such:hook", "importable"),
        ("ERROR_HOOK", "os:sep", "function"),
        ("FEATURE_TRACING", "perhaps", "boolean"),
    ],
)
def test_a_bad_value_is_named_with_its_rule(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    tell(monkeypatch, **{**GOOD, name: value})
    with pytest.raises(settings.SettingsError, match=rf"(?s){name}: .*{words}"):
        settings.read()


def test_a_secret_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, **GOOD, USER_ID_KEY="hush", PORT="x")
    with pytest.raises(settings.SettingsError) as caught:
        settings.read()
    monkeypatch.delenv("PORT")
    assert "hush" not in f"{caught.value} {settings.read()!r}"


def test_a_server_with_bad_settings_says_all_of_them_once_and_exits_with_2(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start("", log, PORT="x")
    assert process.wait(60) == 2
    text = log.read_text()
    assert [name for name in ("MLFLOW_TRACKING_URI", "MODEL_NAME: is not set", "PORT") if name not in text] == []
    assert "Traceback" not in text


def test_a_taken_port_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("http://127.0.0.1:9", log, PORT=port, MODEL_NAME="m")
        assert process.wait(60) == 2
    assert f"PORT {port} of 127.0.0.1 cannot be had" in log.read_text()


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path, cores: int, quota: str) -> None:
    """A machine of so many cores, and a control group's quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    (folder / "cpu.max").write_text(quota)
    monkeypatch.setattr(settings, "QUOTA", folder / "cpu.max")


def tell(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
