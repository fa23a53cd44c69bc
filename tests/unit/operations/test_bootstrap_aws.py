"""`make bootstrap` on AWS, with the real AWS CLI and moto's server in the place of AWS.

Proves what is announced, created, left alone and refused. That AWS itself answers as moto does, nothing here can tell.
"""

from __future__ import annotations

import json
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


class Api:
    """AWS' API of the account, which answers in milliseconds; the CLI starts for a second each time."""

    def __init__(self, url: str) -> None:
        self._url = url

    def s3(self, path: str, method: str = "GET", body: str = "") -> str:
        return self._send("s3", method, path, body)

    def kms(self, operation: str, **parameters: str) -> str:
        kind = {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        return self._send("kms", "POST", "/", json.dumps(parameters), **kind)

    def _send(self, service: str, method: str, path: str, body: str, **headers: str) -> str:
        scope = f"test/20260101/{REGION}/{service}/aws4_request"  # by it moto tells the service and the region
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
        reply = requests.request(method, f"{self._url}{path}", data=body, headers=headers, timeout=60)
        assert reply.ok, reply.text
        return reply.text


@pytest.fixture
def api(moto: str) -> Api:
    return Api(moto)


def test_it_says_what_it_will_create_and_creates_nothing_unasked(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.run(BACKEND, REGION, is_confirmed=False) == 0
    text = capsys.readouterr().out
    assert text.count("will be created: ") == 5
    assert "Nothing has been created" in text
    assert "<Bucket>" not in api.s3("/")


def test_it_creates_a_private_encrypted_versioned_bucket_once(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "secretsprovider: awskms://alias/acme-state?region=eu-central-1" in capsys.readouterr().out
    assert "<Bucket>" in api.s3("/")
    assert "<Status>Enabled</Status>" in api.s3("/acme-state?versioning")
    key = json.loads(api.kms("DescribeKey", KeyId="alias/acme-state"))
    assert key["KeyMetadata"]["Arn"] in api.s3("/acme-state?encryption")
    assert "SecureTransport" in api.s3("/acme-state?policy")
    bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "Everything is there already." in capsys.readouterr().out
    assert api.kms("ListAliases").count('"alias/acme-state"') == 1


def test_what_is_there_and_differs_is_refused_and_left_alone(api: Api) -> None:
    place = f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    api.s3("/acme-state", "PUT", place)
    versioning = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    api.s3("/acme-state?versioning", "PUT", versioning)
    with pytest.raises(DeployError, match="versions: versioning was suspended") as refused:
        bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "nothing has been touched" in str(refused.value)
    assert "alias/acme-state" not in api.kms("ListAliases")
