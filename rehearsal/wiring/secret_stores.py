"""Checks that External Secrets can read what ExternalSecrets name: from a store to its service, identity and grant.

Sources: https://external-secrets.io/latest/provider/azure-key-vault/ and
https://external-secrets.io/latest/provider/aws-secrets-manager/
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from kernel.paths import look_up
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.pod_texts import PodUse
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import has_azure_role, role_allows
from rehearsal.wiring.graph import EKS, Wiring, describe, get_name
from rehearsal.wiring.pod_identities import find_identity

_API = "external-secrets.io/v1"
_VAULT = "azure-native:keyvault:Vault"
_READ_ROLES = ("Key Vault Secrets User", "Key Vault Secrets Officer", "Key Vault Administrator")
_OPERATOR = {"app.kubernetes.io/name": "external-secrets"}


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    secrets = wiring.cluster.list(_API, "ExternalSecret")
    for kind in ("ClusterSecretStore", "SecretStore"):
        for store in wiring.cluster.list(_API, kind):
            keys = [key for found in secrets if _refers_to(found, store) for key in _list_keys(found)]
            yield from _check_store(wiring, store, keys)


def _refers_to(external_secret: Object, store: Object) -> bool:
    reference = look_up(external_secret, "spec.secretStoreRef", {})
    return (reference.get("kind", "SecretStore"), reference.get("name")) == (store["kind"], store["metadata"]["name"])


def _list_keys(external_secret: Object) -> Iterator[str]:
    for entry in external_secret["spec"].get("data") or ():
        yield str(look_up(entry, "remoteRef.key", ""))


def _check_store(wiring: Wiring, store: Object, keys: list[str]) -> Iterator[Problem]:
    provider = look_up(store, "spec.provider", {})
    if "azurekv" in provider:
        yield from _check_vault(wiring, store, provider["azurekv"])
    elif "aws" in provider:
        yield from _check_secrets_manager(wiring, store, provider["aws"], keys)


def _check_vault(wiring: Wiring, store: Object, provider: Mapping[str, Any]) -> Iterator[Problem]:
    name, url = describe_object(store), str(provider.get("vaultUrl"))
    vaults = [
        vault
        for vault in wiring.clouds.all(_VAULT)
        if str(look_up(vault.outputs, "properties.vaultUri", "")).rstrip("/") == url.rstrip("/")
    ]
    if not vaults:
        yield Problem(name, f"vault {url} does not exist", "correct vaultUrl")
        return
    if provider.get("authType") != "WorkloadIdentity":
        reason = f"it authenticates by {provider.get('authType', 'ServicePrincipal')}, but names no credentials for it"
        if not provider.get("authSecretRef"):
            yield Problem(name, reason, "set authType to WorkloadIdentity")
        return
    if not provider.get("tenantId"):
        yield Problem(name, "it has no tenant", "set tenantId")
    identity = yield from _find_reader(wiring, name, provider.get("serviceAccountRef"))
    if identity and not has_azure_role(wiring, str(identity.outputs.get("principalId")), _READ_ROLES, vaults[0].id):
        yield Problem(name, f"{describe(identity)} may not read secrets of {url}", f"assign {_READ_ROLES[0]}")


def _check_secrets_manager(
    wiring: Wiring, store: Object, provider: Mapping[str, Any], keys: list[str]
) -> Iterator[Problem]:
    name, region = describe_object(store), str(provider.get("region"))
    arns = [str(cluster.outputs.get("arn")) for cluster in wiring.clouds.all(EKS)]
    here = {arn.split(":")[3]: arn.split(":")[4] for arn in arns if arn.count(":") > 4}
    if here and region not in here:
        yield Problem(name, f"its secrets are in {region}, but the stack is in {', '.join(here)}", "correct region")
        return
    identity = yield from _find_reader(wiring, name, look_up(provider, "auth.jwt.serviceAccountRef", None))
    for key in dict.fromkeys(keys) if identity else ():
        arn = f"arn:aws:secretsmanager:{region}:{here.get(region, '*')}:secret:{key}-abcdef"
        if identity and not role_allows(wiring, identity, "secretsmanager:GetSecretValue", arn):
            yield Problem(name, f"the role {get_name(identity)} may not read the secret {key}", "allow its ARN")


def _find_reader(wiring: Wiring, name: str, reference: Any) -> Generator[Problem, None, Resource | None]:
    """The identity that a store reads with: that of the service account it names, otherwise that of the operator."""
    operators = [pod for pod in wiring.pods if _OPERATOR.items() <= pod.labels.items()]
    accounts = (
        [(str(reference.get("namespace")), str(reference.get("name")))]
        if reference
        else list(dict.fromkeys(_account_of(pod) for pod in operators))
    )
    for namespace, account in accounts:
        if wiring.find_account(namespace, account) is None:
            yield Problem(name, f"it reads as service account {namespace}/{account}, which does not exist", "")
            continue
        identity = find_identity(wiring, namespace, account)
        if identity is None:
            yield Problem(name, f"its service account {namespace}/{account} has no identity in the cloud", "assign one")
        return identity
    return None


def _account_of(pod: PodUse) -> tuple[str, str]:
    return pod.namespace, pod.account
