"""The ways to sign in to Azure in CI: federated tokens, secrets, managed identities.

Proves, with azure-identity itself and a simulated Entra in this process, which request each method sends and whose
token results. Not proven: that Entra accepts such requests.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from deploy.azure_identity import (
    AZURE_CLI,
    Caller,
    SignInError,
    choose_method,
    list_absent_variables,
    read_claims,
    sign_in,
)
from tests.support.azure_manager_server import SUBSCRIPTION, TENANT
from tests.support.fake_programs import FakePrograms

APPLICATION = {"ARM_CLIENT_ID": "the-client", "ARM_TENANT_ID": TENANT, "ARM_SUBSCRIPTION_ID": SUBSCRIPTION}
OIDC = {**APPLICATION, "ARM_USE_OIDC": "true"}
GITHUB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.actions.example/?api-version=2",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
}
ENTRA = "login.microsoftonline.com"


def encode(claims: Mapping[str, Any]) -> str:
    """A token with these claims and an invalid signature."""
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{text}.signature"


TOKEN = encode({"appid": "the-client", "tid": TENANT})


class Internet:
    """Responds to every request of this process; `token_requests` has the requests for a token."""

    def __init__(self) -> None:
        self.token_requests: list[dict[str, str]] = []
        self.refusal: dict[str, str] = {}

    def send(self, _: Any, request: Any, **__: Any) -> requests.Response:
        url = urlsplit(request.url)
        answer = self._answer(url.netloc, url.path, request)
        response = requests.Response()
        response.status_code = 400 if "error" in answer else 200
        response.headers["Content-Type"] = "application/json"
        response.request, response.url = request, request.url
        content = json.dumps(answer).encode()
        response.raw = _Stream(content)
        return response

    def _answer(self, host: str, path: str, request: Any) -> dict[str, Any]:
        if host == "token.actions.example":
            assert request.headers["Authorization"] == "Bearer request-token"
            assert "audience=api%3A%2F%2FAzureADTokenExchange" in request.url
            return {"value": "token-of-github"}
        if path.endswith("/openid-configuration"):
            base = f"https://{host}/{TENANT}"
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
            return {"issuer": f"{base}/v2.0", **{key: f"{base}/oauth2/v2.0/{end}" for key, end in ends.items()}}
        if path.endswith("/discovery/instance"):
            discovery = f"https://{host}/{TENANT}/v2.0/.well-known/openid-configuration"
            return {"tenant_discovery_endpoint": discovery, "metadata": []}
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or urlsplit(request.url).query
        self.token_requests.append({"host": host, **{key: value[0] for key, value in parse_qs(body).items()}})
        return self.refusal or {
            "access_token": TOKEN,
            "expires_in": "3600",
            "expires_on": "4102444800",
            "token_type": "Bearer",
        }


class _Stream:
    """The body of a response, as urllib3 returns it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._content]

    def close(self) -> None:
        """There is nothing to close."""

    release_conn = close


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    created = Internet()
    monkeypatch.setattr(HTTPAdapter, "send", lambda *arguments, **options: created.send(*arguments, **options))
    return created


def sign_in_with(environment: Mapping[str, str]) -> Caller:
    return sign_in("", "", FakePrograms({}, environment))


@pytest.mark.parametrize(
    ("environment", "method"),
    [
        ({}, AZURE_CLI),
        (APPLICATION, AZURE_CLI),
        ({"ARM_USE_MSI": "true"}, "managed identity"),
        ({"ARM_USE_MSI": "true", "ARM_USE_OIDC": "true"}, "OIDC"),
        ({"ARM_USE_OIDC": "true", "ARM_CLIENT_SECRET": "s"}, "client secret"),
        ({"ARM_CLIENT_SECRET": "s", "ARM_CLIENT_CERTIFICATE_PATH": "c"}, "client certificate"),
        ({"ARM_USE_DEFAULT_AZURE_CREDENTIAL": "true", "ARM_CLIENT_SECRET": "s"}, "default credential"),
        ({"ARM_USE_OIDC": "false"}, AZURE_CLI),
    ],
)
def test_the_sign_in_method_is_the_one_that_the_provider_chooses(environment: dict[str, str], method: str) -> None:
    assert choose_method(environment) == method


def test_missing_variables_of_a_sign_in_method_are_listed() -> None:
    assert list_absent_variables("OIDC", {**OIDC, **GITHUB}) == []
    assert list_absent_variables("OIDC", {"ARM_TENANT_ID": TENANT, **GITHUB}) == ["ARM_CLIENT_ID"]
    (without_token,) = list_absent_variables("OIDC", OIDC)
    assert "id-token: write" in without_token
    assert list_absent_variables("client secret", {}) == ["ARM_CLIENT_ID", "ARM_TENANT_ID"]


def test_githubs_token_is_exchanged(internet: Internet) -> None:
    caller = sign_in_with({**OIDC, **GITHUB})
    assert (caller.method, caller.name, caller.tenant) == ("OIDC", "the-client", TENANT)
    assert (caller.subscription, caller.manager) == (SUBSCRIPTION, "https://management.azure.com")
    (request,) = internet.token_requests
    assert request["host"] == ENTRA
    assert request["client_assertion"] == "token-of-github"
    assert "https://management.azure.com/.default" in request["scope"]


@pytest.mark.parametrize("source", ["variable", "file"])
def test_a_token_of_another_ci_system_is_exchanged(internet: Internet, tmp_path: Path, source: str) -> None:
    file = tmp_path / "token"
    file.write_text("token-of-ci\n")
    variables = {"ARM_OIDC_TOKEN": "token-of-ci"} if source == "variable" else {"ARM_OIDC_TOKEN_FILE_PATH": str(file)}
    sign_in_with({**OIDC, **variables})
    assert internet.token_requests[0]["client_assertion"] == "token-of-ci"


def test_a_secret_is_sent_to_the_authority_of_the_cloud(internet: Internet) -> None:
    caller = sign_in_with({**APPLICATION, "ARM_CLIENT_SECRET": "hush", "ARM_ENVIRONMENT": "usgovernment"})
    assert caller.manager == "https://management.usgovcloudapi.net"
    (request,) = internet.token_requests
    assert (request["host"], request["client_secret"]) == ("login.microsoftonline.us", "hush")


def test_a_managed_identity_requests_its_token_from_its_machine(internet: Internet) -> None:
    caller = sign_in_with({"ARM_USE_MSI": "true", "ARM_CLIENT_ID": "the-client", "ARM_SUBSCRIPTION_ID": SUBSCRIPTION})
    assert caller.method == "managed identity"
    assert internet.token_requests[-1]["host"] == "169.254.169.254"
    assert internet.token_requests[-1]["client_id"] == "the-client"


def test_a_refusal_is_reported_without_trace_ids_and_secrets(internet: Internet) -> None:
    internet.refusal = {
        "error": "invalid_client",
        "error_description": "AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2\r\nTime: 3",
    }
    with pytest.raises(SignInError, match=r"AADSTS7000215: Invalid client secret provided$") as caught:
        sign_in_with({**APPLICATION, "ARM_CLIENT_SECRET": "hush"})
    assert "hush" not in str(caught.value)


def test_an_unreachable_entra_is_reported_like_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(HTTPAdapter, "send", fail)
    monkeypatch.setattr("time.sleep", lambda _: None)  # between its attempts
    with pytest.raises(SignInError, match="no route"):
        sign_in_with({**APPLICATION, "ARM_CLIENT_SECRET": "hush"})


def test_a_caller_is_printed_without_its_token(internet: Internet) -> None:  # noqa: ARG001 answers
    assert TOKEN not in repr(sign_in_with({**OIDC, **GITHUB}))


@pytest.mark.parametrize("text", ["", "opaque", "a.b"])
def test_text_that_is_not_a_token_has_no_claims(text: str) -> None:
    assert read_claims(text) == {}
