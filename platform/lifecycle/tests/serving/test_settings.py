"""Settings from the environment, and the single message for all invalid ones, with which the server does not start."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lifecycle.core import SettingsError, read_settings
from lifecycle.serving import __main__ as command
from lifecycle.serving import settings, supervisor
from lifecycle.serving.settings import ServingSettings
from support.network import UNUSED_URL
from support.serving import start
from support.waiting import TIMEOUT

GOOD = {"MLFLOW_TRACKING_URI": "http://mlflow", "MODEL_NAME": "m"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MODEL_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, **GOOD)
    read = read_settings(ServingSettings)
    assert (read.port, read.inference_timeout, read.max_batch_size, read.drain_timeout) == (8000, 30, 32, 30)
    assert (read.log_level, read.version_selector) == ("info", "alias champion")
    assert (read.feature_micro_batching, read.feature_inference_log, read.feature_tracing) == (True, True, True)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_there_is_a_worker_per_core_and_four_at_most(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cores: int, workers: int
) -> None:
    set_environment(monkeypatch, **GOOD)
    simulate_machine(monkeypatch, tmp_path, cores, "max 100000")
    assert read_settings(ServingSettings).workers == workers


@pytest.mark.parametrize(
    ("quota", "workers"),
    [("max 100000", 4), ("300000 100000", 3), ("150000 100000", 2), ("10000 100000", 1), ("900000 100000", 4), ("", 4)],
)
def test_a_containers_cpu_quota_limits_its_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, workers: int
) -> None:
    set_environment(monkeypatch, **GOOD)
    simulate_machine(monkeypatch, tmp_path, 4, quota)
    assert read_settings(ServingSettings).workers == workers


def test_more_workers_than_cores_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, **GOOD, WORKERS="64")
    assert read_settings(ServingSettings).workers == 64


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
def test_an_invalid_value_is_named_with_its_rule(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    set_environment(monkeypatch, **{**GOOD, name: value})
    with pytest.raises(SettingsError, match=rf"(?s){name} .*{words}"):
        read_settings(ServingSettings)


def test_a_secret_is_not_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, **GOOD, USER_ID_KEY="hush", PORT="x")
    with pytest.raises(SettingsError) as caught:
        read_settings(ServingSettings)
    monkeypatch.delenv("PORT")
    assert "hush" not in f"{caught.value} {read_settings(ServingSettings)!r}"


def test_all_invalid_settings_are_in_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "x")
    assert command.main() == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ("MLFLOW_TRACKING_URI is not set", "MODEL_NAME is not set", "PORT is 'x'"))


@pytest.mark.process
def test_the_process_with_invalid_settings_exits_with_2_and_without_a_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start("http://mlflow", log, PORT="x", MODEL_NAME="m")
    assert process.wait(TIMEOUT) == 2
    assert "PORT is 'x'" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_port_in_use_is_reported_before_anything_is_downloaded(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        invalid = ServingSettings(mlflow_tracking_uri=UNUSED_URL, model_name="m", host="127.0.0.1", port=port)
        assert supervisor.run(invalid) == supervisor.EXIT_SETTINGS
    assert f"PORT {port} of 127.0.0.1 is not available" in caplog.text


def simulate_machine(monkeypatch: pytest.MonkeyPatch, folder: Path, cores: int, quota: str) -> None:
    """A machine with this number of cores and this quota of the control group."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    (folder / "cpu.max").write_text(quota)
    monkeypatch.setattr(settings, "CPU_MAX", folder / "cpu.max")


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
