"""The simulated cert-manager and External Secrets, on a stub of the API server.

Proves which Secrets and conditions they write, and that they do not write existing ones again. That the API server
accepts them, and that the stack's own objects become ready, is proven by the rehearsed stacks in tests/engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.controllers import certificates, external_secrets


class ApiStub:
    """A stub with objects, keyed by kind; it records applied manifests."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = {(item["kind"], item["metadata"]["name"]): item for item in objects}
        self.applied: list[Object] = []

    def list(self, api_version: str, kind: str) -> Sequence[Object]:  # noqa: ARG002 the client's signature
        return [item for (of_kind, _), item in self.objects.items() if of_kind == kind]

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:  # noqa: ARG002
        return self.objects.get((kind, name))

    def apply(self, manifest: dict[str, Any], field_manager: str, *, force: bool = False) -> Object:  # noqa: ARG002
        self.applied.append(manifest)
        self.objects[manifest["kind"], manifest["metadata"]["name"]] = manifest
        return manifest

    def patch(self, manifest: Object, change: Object, subresource: str = "") -> Object:
        assert subresource == "/status"
        found = self.objects[manifest["kind"], manifest["metadata"]["name"]]
        found.update(change)
        return found

    def ready(self, kind: str, name: str) -> tuple[str, str]:
        """The status and the message of the condition Ready."""
        (condition,) = self.objects[kind, name]["status"]["conditions"]
        assert condition["type"] == "Ready"
        return condition["status"], condition["message"]


def custom(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "serving", "generation": 1}, "spec": spec}


ISSUER = custom("ClusterIssuer", "platform", ca={"secretName": "platform-ca"})
del ISSUER["metadata"]["namespace"]


def certificate(issuer: str, *names: str) -> dict[str, Any]:
    reference = {"kind": "ClusterIssuer", "name": issuer}
    return custom("Certificate", "web", secretName="web-tls", dnsNames=list(names), issuerRef=reference)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_a_certificate_gets_its_secret_once(authority: CertificateAuthority) -> None:
    api: Any = ApiStub(ISSUER, certificate("platform", "*.ml.example.com"))
    assert certificates.issue_certificates(api, authority)
    assert certificates.issue_certificates(api, authority)
    (secret,) = api.applied
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == ("web-tls", "serving")
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["data"].keys() == {"tls.crt", "tls.key", "ca.crt"}
    assert api.ready("ClusterIssuer", "platform")[0] == api.ready("Certificate", "web")[0] == "True"


def test_other_names_get_another_secret(authority: CertificateAuthority) -> None:
    api: Any = ApiStub(ISSUER, certificate("platform", "a.example.com"))
    certificates.issue_certificates(api, authority)
    api.objects["Certificate", "web"]["spec"]["dnsNames"] = ["b.example.com"]
    certificates.issue_certificates(api, authority)
    assert len(api.applied) == 2


def test_a_certificate_of_a_missing_issuer_is_not_ready(authority: CertificateAuthority) -> None:
    api: Any = ApiStub(certificate("absent", "a.example.com"))
    certificates.issue_certificates(api, authority)
    assert api.applied == []
    assert api.ready("Certificate", "web") == ("False", "ClusterIssuer absent does not exist")


def external_secret(key: str) -> dict[str, Any]:
    return custom("ExternalSecret", "database", data=[{"secretKey": "password", "remoteRef": {"key": key}}])


def test_a_stored_secret_is_synced_into_the_cluster_without_its_value() -> None:
    api: Any = ApiStub(custom("ClusterSecretStore", "platform"), external_secret("acme/database"))
    assert external_secrets.sync_secrets(api, {"acme/database"})
    assert external_secrets.sync_secrets(api, {"acme/database"})
    assert api.applied[0]["stringData"] == {"password": external_secrets.PLACEHOLDER}
    assert api.ready("ClusterSecretStore", "platform")[0] == api.ready("ExternalSecret", "database")[0] == "True"


def test_a_secret_that_people_store_may_have_the_stacks_prefix() -> None:
    api: Any = ApiStub(external_secret("acme/git-token"))
    external_secrets.sync_secrets(api, {"git-token"})
    assert api.ready("ExternalSecret", "database")[0] == "True"


def test_a_secret_that_is_not_stored_is_named() -> None:
    api: Any = ApiStub(external_secret("acme/absent"))
    assert not external_secrets.sync_secrets(api, {"acme/database"})
    assert api.applied == []
    assert api.ready("ExternalSecret", "database") == ("False", "the store has no secret acme/absent")


@pytest.mark.parametrize(
    ("provider", "described"),
    [
        ({"azurekv": {"vaultUrl": "https://acmekv.vault.azure.net"}}, "the vault https://acmekv.vault.azure.net"),
        ({"aws": {"service": "SecretsManager", "region": "eu-west-1"}}, "Secrets Manager in eu-west-1"),
        ({"fake": {}}, "the store"),
    ],
)
def test_the_service_that_lacks_a_secret_is_named(provider: dict[str, Any], described: str) -> None:
    owner = external_secret("absent")
    owner["spec"]["secretStoreRef"] = {"kind": "ClusterSecretStore", "name": "platform"}
    api: Any = ApiStub(custom("ClusterSecretStore", "platform", provider=provider), owner)
    external_secrets.sync_secrets(api, ())
    assert api.ready("ExternalSecret", "database") == ("False", f"{described} has no secret absent")
