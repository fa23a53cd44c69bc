"""Signs in to Azure as the Azure provider does, with the same variables and in the same order.

Source of the order: provider/pkg/provider/auth_azidentity.go in https://github.com/pulumi/pulumi-azure-native. The last
method, the Azure CLI, is called as a program; azure-identity implements the others.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import (
    AzureAuthorityHosts,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)

from deploy.programs import Programs

# What a federated credential in Entra expects, unless ARM_OIDC_AUDIENCE names another.
_AUDIENCE = "api://AzureADTokenExchange"
_TIMEOUT = 30.0  # seconds for a request

AZURE_CLI = "Azure CLI"


class SignInError(Exception):
    """Azure issues no token; the message quotes the reason."""


@dataclass(frozen=True)
class AzureCloud:
    """The endpoints of a cloud's Azure Resource Manager and Entra."""

    manager: str
    authority: str


# Source: https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure and
# https://learn.microsoft.com/azure/china/resources-developer-guide
_CLOUDS = {
    "public": AzureCloud("https://management.azure.com", AzureAuthorityHosts.AZURE_PUBLIC_CLOUD),
    "usgovernment": AzureCloud("https://management.usgovcloudapi.net", AzureAuthorityHosts.AZURE_GOVERNMENT),
    "china": AzureCloud("https://management.chinacloudapi.cn", AzureAuthorityHosts.AZURE_CHINA),
}


@dataclass(frozen=True)
class Caller:
    """The identity that Azure sees.

    method        how the provider signs in
    name          user or application
    tenant        ID of the Entra tenant that issued the token
    subscription  ID of the subscription that the credentials are set to; empty for none
    manager       URL of Azure Resource Manager
    token         for requests to it
    """

    method: str
    name: str
    tenant: str
    subscription: str
    manager: str
    token: str = field(repr=False)


def choose_method(environment: Mapping[str, str]) -> str:
    """How the provider signs in with these variables."""
    if environment.get("ARM_USE_DEFAULT_AZURE_CREDENTIAL") == "true":
        return "default credential"
    if environment.get("ARM_CLIENT_CERTIFICATE_PATH"):
        return "client certificate"
    if environment.get("ARM_CLIENT_SECRET"):
        return "client secret"
    if environment.get("ARM_USE_OIDC") == "true":
        return "OIDC"
    return "managed identity" if environment.get("ARM_USE_MSI") == "true" else AZURE_CLI


def list_absent_variables(method: str, environment: Mapping[str, str]) -> list[str]:
    """The variables that a method requires and that are not set."""
    application = ["ARM_CLIENT_ID", "ARM_TENANT_ID"]
    needed = {
        "client certificate": application,
        "client secret": application,
        "OIDC": application,
    }.get(method, [])
    absent = [name for name in needed if not environment.get(name)]
    if method == "OIDC" and not _has_assertion(environment):
        absent.append("ARM_OIDC_TOKEN_FILE_PATH, ARM_OIDC_TOKEN, or GitHub's permission `id-token: write`")
    return absent


def sign_in(tenant: str, subscription: str, programs: Programs) -> Caller:
    """Get a token for Azure Resource Manager.

    `tenant` and `subscription` are the stack's settings, empty if they are not set. Raises SignInError.
    """
    environment = programs.environment
    method = choose_method(environment)
    if method == AZURE_CLI:
        return _ask_cli(tenant, subscription, programs)
    cloud = _CLOUDS.get(environment.get("ARM_ENVIRONMENT", "public").lower(), _CLOUDS["public"])
    tenant = tenant or environment.get("ARM_TENANT_ID", "")
    try:
        credential = _create_credential(method, environment, tenant, cloud)
        token = credential.get_token(f"{cloud.manager}/.default").token
    except (AzureError, OSError, ValueError) as error:
        raise SignInError(_shorten(str(error))) from None
    claims = read_claims(token)
    return Caller(
        method,
        str(claims.get("upn") or claims.get("appid") or claims.get("oid") or "unknown"),
        str(claims.get("tid", tenant)),
        subscription or environment.get("ARM_SUBSCRIPTION_ID", ""),
        cloud.manager,
        token,
    )


def _ask_cli(tenant: str, subscription: str, programs: Programs) -> Caller:
    def ask(*arguments: str) -> Any:
        answer = programs.ask("az", *arguments, "--output", "json")
        if answer.code:
            raise SignInError(answer.reason)
        return json.loads(answer.output)

    subscription = subscription or programs.environment.get("ARM_SUBSCRIPTION_ID", "")
    chosen = ["--subscription", subscription] if subscription else []
    account = ask("account", "show", *chosen)
    manager = str(ask("cloud", "show")["endpoints"]["resourceManager"]).rstrip("/")
    where = ["--tenant", tenant] if tenant else chosen
    token = ask("account", "get-access-token", "--resource", manager, *where)["accessToken"]
    return Caller(AZURE_CLI, account["user"]["name"], account["tenantId"], account["id"], manager, token)


def _create_credential(method: str, environment: Mapping[str, str], tenant: str, cloud: AzureCloud) -> TokenCredential:
    client = environment.get("ARM_CLIENT_ID", "")
    create: Mapping[str, Callable[[], TokenCredential]] = {
        "default credential": lambda: DefaultAzureCredential(authority=cloud.authority),
        "client certificate": lambda: CertificateCredential(
            tenant,
            client,
            environment["ARM_CLIENT_CERTIFICATE_PATH"],
            password=environment.get("ARM_CLIENT_CERTIFICATE_PASSWORD"),
            authority=cloud.authority,
        ),
        "client secret": lambda: ClientSecretCredential(
            tenant, client, environment["ARM_CLIENT_SECRET"], authority=cloud.authority
        ),
        "OIDC": lambda: ClientAssertionCredential(
            tenant, client, lambda: _get_assertion(environment), authority=cloud.authority
        ),
        "managed identity": lambda: ManagedIdentityCredential(client_id=client or None),
    }
    return create[method]()


def _has_assertion(environment: Mapping[str, str]) -> bool:
    return bool(
        environment.get("ARM_OIDC_TOKEN")
        or environment.get("ARM_OIDC_TOKEN_FILE_PATH")
        or (environment.get("ACTIONS_ID_TOKEN_REQUEST_URL") and environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
    )


def _get_assertion(environment: Mapping[str, str]) -> str:
    """The token of the CI system, which Entra exchanges for its own."""
    if token := environment.get("ARM_OIDC_TOKEN"):
        return token
    if path := environment.get("ARM_OIDC_TOKEN_FILE_PATH"):
        return Path(path).read_text().strip()
    reply = requests.get(
        environment["ACTIONS_ID_TOKEN_REQUEST_URL"],
        params={"audience": environment.get("ARM_OIDC_AUDIENCE") or _AUDIENCE},
        headers={"Authorization": f"Bearer {environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
        timeout=_TIMEOUT,
    )
    reply.raise_for_status()
    return str(reply.json()["value"])


def read_claims(token: str) -> Mapping[str, Any]:
    """What a token claims about its bearer, unverified: Azure verifies it. Empty if it is not an Entra token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return claims


def _shorten(message: str) -> str:
    """The first line of a message, without the trace and correlation IDs that Entra adds."""
    return message.splitlines()[0].split(" Trace ID:")[0].rstrip(". ")
