"""An ExternalSecret whose secret is not stored, on a real API server with the simulated External Secrets.

Proves the messages about it, in a deployment that waits for it and in a rehearsal's readiness checks. That the real
operator reports the same condition, and that the commands in the remedies work, is taken from their documentation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from infra.cluster.release import WAIT_UNTIL_READY
from kernel.annotations import SETTING
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.controllers.external_secrets import sync_secrets
from rehearsal.kubernetes.readiness.workloads import find_problems
from tests.support.chart_installation import apply_definitions
from tests.support.namespaced_cluster import build_manifest, create_temporarily
from tests.support.provider_client import AbortedError, Engine

API_VERSION = "external-secrets.io/v1"
VAULT: Mapping[str, Any] = {
    "azurekv": {"vaultUrl": "https://acmekv1a2b.vault.azure.net/", "tenantId": "t", "authType": "WorkloadIdentity"}
}
SECRETS_MANAGER: Mapping[str, Any] = {"aws": {"service": "SecretsManager", "region": "eu-west-1"}}
STORED_BY_HAND = "A rehearsal treats it as stored if its name is in given_secrets of rehearsal.yaml."

# The reason and the remedy on each cloud, keyed by the key in the store.
CASES = {
    "azure": (
        VAULT,
        "models-token",
        "the vault https://acmekv1a2b.vault.azure.net/ has no secret models-token (from the setting "
        "groundwork:lifecycle.gitToken)",
        "Store it, from within the network: `az keyvault secret set --vault-name acmekv1a2b --name models-token --file "
        f"<file>`; or correct the setting. {STORED_BY_HAND}",
    ),
    "aws": (
        SECRETS_MANAGER,
        "acme-gw-dev/models-token",
        "Secrets Manager in eu-west-1 has no secret acme-gw-dev/models-token (from the setting "
        "groundwork:lifecycle.gitToken)",
        "Store it: `aws secretsmanager create-secret --region eu-west-1 --name acme-gw-dev/models-token "
        f"--secret-string file://<file>`; or correct the setting. {STORED_BY_HAND}",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def definitions(plane: ControlPlane) -> None:
    apply_definitions(plane, "external-secrets-2.9.0", (API_VERSION, "ExternalSecret"), "webhook.create=false")


@pytest.fixture
def external_secret(namespace: str) -> Callable[[str], Object]:
    """Builds an ExternalSecret in the test's namespace for a key of the store, as the platform declares it."""

    def build(key: str) -> Object:
        annotations = {**WAIT_UNTIL_READY, SETTING: "groundwork:lifecycle.gitToken"}
        spec = {
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": namespace},
            "target": {"name": "gitops-token"},
            "data": [{"secretKey": "token", "remoteRef": {"key": key}}],
        }
        metadata = {"namespace": namespace, "annotations": annotations}
        return build_manifest(API_VERSION, "ExternalSecret", "gitops-token", metadata=metadata, spec=spec)

    return build


@pytest.mark.parametrize("cloud", CASES)
def test_a_secret_that_is_not_stored_is_one_problem_until_it_is(
    plane: ControlPlane, namespace: str, external_secret: Callable[[str], Object], cloud: str
) -> None:
    provider, key, reason, remedy = CASES[cloud]
    with create_temporarily(plane.api, _store(namespace, provider)):
        plane.api.create(external_secret(key))
        sync_secrets(plane.api, {"git-token"})

        (problem,) = find_problems(plane.api, namespace)
        assert problem.message == f"ExternalSecret {namespace}/gitops-token: not Ready: {reason}. Remedy: {remedy}"

        sync_secrets(plane.api, {"git-token", "models-token"})
        assert find_problems(plane.api, namespace) == []
        assert plane.api.get("v1", "Secret", "gitops-token", namespace)


@pytest.mark.parametrize("cloud", CASES)
def test_a_deployment_that_waits_for_it_reports_the_reason_and_the_remedy(
    plane: ControlPlane, namespace: str, external_secret: Callable[[str], Object], cloud: str
) -> None:
    provider, key, reason, remedy = CASES[cloud]
    ended = threading.Event()

    def sync() -> None:
        while not ended.wait(0.1):
            sync_secrets(plane.api, {"git-token"})

    controller = threading.Thread(target=sync)
    with create_temporarily(plane.api, _store(namespace, provider)):
        controller.start()
        try:
            with pytest.raises(AbortedError) as caught:
                Engine.create(plane).resource(dict(external_secret(key))).create(timeout=3)
        finally:
            ended.set()
            controller.join()
    assert f"was not ready after 3 s: condition=Ready: {reason}" in str(caught.value)
    assert str(caught.value).endswith(f"Remedy: {remedy}")


def _store(name: str, provider: Mapping[str, Any]) -> Object:
    return build_manifest(API_VERSION, "ClusterSecretStore", name, spec={"provider": provider})
