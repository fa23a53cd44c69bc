"""moto's server in place of AWS, for the real AWS CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports
from rehearsal.toolchain import ROOT
from tests.support.waiting import eventually

_PYTHON = ROOT / "platform" / "lifecycle" / ".venv" / "bin" / "python"
_START = 300.0  # seconds, for a busy machine


def _find_obstacle() -> str:
    """Why moto cannot be used here; empty if it can."""
    if not shutil.which("aws") or subprocess.run(["aws", "--version"], capture_output=True, check=False).returncode:
        return "the AWS CLI is not on PATH"
    return "" if _PYTHON.exists() else "platform/lifecycle has no virtual environment, which has moto"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server for a module's tests, which are skipped if it is not available."""
    if obstacle := _find_obstacle():
        pytest.skip(obstacle)
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    with (tmp_path_factory.mktemp("moto") / "log").open("w") as log:
        server = subprocess.Popen(
            [_PYTHON, "-m", "moto.server", "--host", HOST, "--port", str(port)], stdout=log, stderr=log
        )
        try:
            eventually(lambda: _answers(url), _START)
            yield url
        finally:
            server.terminate()
            server.wait()


@pytest.fixture
def empty_account(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the AWS CLI use the server, which is empty."""
    requests.post(f"{moto}/moto-api/reset", timeout=60)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": moto,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "NO_PROXY": HOST,
    }.items():
        monkeypatch.setenv(name, value)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/", timeout=5).ok
    except requests.RequestException:
        return False


def run_aws(region: str, *arguments: str) -> dict[str, Any]:
    """The JSON output of the AWS CLI."""
    command = ["aws", *arguments, "--region", region, "--output", "json"]
    text = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True).stdout
    content: dict[str, Any] = json.loads(text) if text.strip() else {}
    return content
