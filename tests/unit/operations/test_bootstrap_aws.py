"""`make bootstrap` on AWS, with the real AWS CLI and moto's server in the place of AWS.

Proves what is announced, created, left alone and refused. That AWS itself answers as moto does, nothing here can tell.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.errors import DeployError
from operations import bootstrap
from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports
from rehearsal.toolchain import ROOT
from tests.support.waiting import eventually

_PYTHON = ROOT / "platform" / "lifecycle" / ".venv" / "bin" / "python"
_START = 300.0  # seconds, for a busy machine
BACKEND, REGION = "s3://acme-state", "eu-central-1"


def find_obstacle() -> str:
    if not shutil.which("aws") or subprocess.run(["aws", "--version"], capture_output=True, check=False).returncode:
        return "the AWS CLI is not on PATH"
    return "" if _PYTHON.exists() else "platform/lifecycle has no virtual environment, which has moto"


pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if obstacle := find_obstacle():
        pytest.skip(obstacle)
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    with (tmp_path_factory.mktemp("moto") / "log").open("w") as log:
        server = subprocess.Popen(
            [_PYTHON, "-m", "moto.server", "--host", HOST, "--port", str(port)], stdout=log, stderr=log
        )
        try:
            eventually(lambda: answers(url), _START)
            yield url
        finally:
            server.terminate()
            server.wait()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(autouse=True)
def account(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty account."""
    requests.post(f"{moto}/moto-api/reset", timeout=60)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": moto,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "NO_PROXY": HOST,
    }.items():
        monkeypatch.setenv(name, value)


def aws(*arguments: str) -> dict[str, object]:
    command = ["aws", *arguments, "--region", REGION, "--output", "json"]
    text = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True).stdout
    content: dict[str, object] = json.loads(text) if text.strip() else {}
    return content


def test_it_says_what_it_will_create_and_creates_nothing_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.run(BACKEND, REGION, is_confirmed=False) == 0
    text = capsys.readouterr().out
    assert text.count("will be created: ") == 5
    assert "Nothing has been created" in text
    assert aws("s3api", "list-buckets")["Buckets"] == []


def test_it_creates_a_private_encrypted_versioned_bucket_once(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "secretsprovider: awskms://alias/acme-state?region=eu-central-1" in capsys.readouterr().out
    assert aws("s3api", "get-bucket-versioning", "--bucket", "acme-state")["Status"] == "Enabled"
    encryption = json.dumps(aws("s3api", "get-bucket-encryption", "--bucket", "acme-state"))
    key = json.dumps(aws("kms", "describe-key", "--key-id", "alias/acme-state"))
    assert json.loads(key)["KeyMetadata"]["Arn"] in encryption
    assert "SecureTransport" in json.dumps(aws("s3api", "get-bucket-policy", "--bucket", "acme-state"))
    bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "Everything is there already." in capsys.readouterr().out
    assert json.dumps(aws("kms", "list-aliases")).count('"alias/acme-state"') == 1


def test_what_is_there_and_differs_is_refused_and_left_alone() -> None:
    aws(
        "s3api", "create-bucket", "--bucket=acme-state", "--create-bucket-configuration=LocationConstraint=eu-central-1"
    )
    aws("s3api", "put-bucket-versioning", "--bucket=acme-state", "--versioning-configuration=Status=Suspended")
    with pytest.raises(DeployError, match="versions: versioning was suspended") as refused:
        bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "nothing has been touched" in str(refused.value)
    assert "alias/acme-state" not in json.dumps(aws("kms", "list-aliases"))
