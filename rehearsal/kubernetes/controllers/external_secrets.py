"""A simulated External Secrets: it creates the Secrets of ExternalSecrets from the simulated store of secrets.

A rehearsal stores only fingerprints of secrets, so every key has the same placeholder as its value. This proves that
each secret that an ExternalSecret names is in the store, but not that the operator's identity is allowed to read it.
Source of conditions: https://external-secrets.io/latest/api/externalsecret/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.controllers.conditions import Failure, build_condition, write_status

NOTE = "External Secrets: Secrets have placeholders for values, for each key of an ExternalSecret that the store has"
PLACEHOLDER = "simulated by the rehearsal"

_API_VERSION = "external-secrets.io/v1"
_FIELD_MANAGER = "groundwork-simulated-external-secrets"
_STORE_KINDS = ("SecretStore", "ClusterSecretStore")


def sync_secrets(api: ApiClient, stored: Collection[str]) -> bool:
    """Make all stores ready, and sync all ExternalSecrets with the names of the secrets that are stored.

    Returns whether there are any stores. Raises ApiError and ApiUnreachableError.
    """
    stores = [store for kind in _STORE_KINDS for store in api.list(_API_VERSION, kind)]
    for store in stores:
        _set_ready(api, store, None, "Valid")
    for external_secret in api.list(_API_VERSION, "ExternalSecret"):
        # On AWS, the names of secrets that people store begin with the stack's prefix.
        missing = [key for key in _list_remote_keys(external_secret) if not {key, key.rpartition("/")[2]} & {*stored}]
        described = f"{_describe_store(stores, external_secret)} has no secret {', '.join(missing)}"
        failure = ("SecretSyncedError", described) if missing else None
        if not missing:
            _ensure_secret(api, external_secret)
        _set_ready(api, external_secret, failure, "SecretSynced")
    return bool(stores)


def _set_ready(api: ApiClient, owner: Object, failure: Failure | None, reason: str) -> None:
    condition = build_condition(owner, "Ready", failure, reason, PLACEHOLDER)
    # Its kinds lack this field: the API server would drop it, and the status would always seem to differ.
    del condition["observedGeneration"]
    write_status(api, owner, {"conditions": [condition]})


def _describe_store(stores: Sequence[Object], external_secret: Object) -> str:
    """The service behind the store that an ExternalSecret refers to, so that people know where to store a secret."""
    reference = external_secret["spec"].get("secretStoreRef", {})
    identity = (reference.get("kind", "SecretStore"), reference.get("name"))
    found = next((store for store in stores if (store["kind"], store["metadata"]["name"]) == identity), None)
    provider = found["spec"].get("provider", {}) if found else {}
    if "azurekv" in provider:
        return f"the vault {provider['azurekv']['vaultUrl']}"
    return f"Secrets Manager in {provider['aws']['region']}" if "aws" in provider else "the store"


def _list_remote_keys(external_secret: Object) -> Iterator[str]:
    spec = external_secret["spec"]
    yield from (entry["remoteRef"]["key"] for entry in spec.get("data", ()))
    yield from (entry["extract"]["key"] for entry in spec.get("dataFrom", ()) if "extract" in entry)


def _ensure_secret(api: ApiClient, external_secret: Object) -> None:
    """Apply the Secret, unless it has all keys already."""
    metadata, spec = external_secret["metadata"], external_secret["spec"]
    target = spec.get("target", {})
    name, template = target.get("name") or metadata["name"], target.get("template", {})
    keys = {*(entry["secretKey"] for entry in spec.get("data", ())), *template.get("data", {})}
    found = api.get("v1", "Secret", name, metadata["namespace"])
    if found and keys <= (found.get("data") or {}).keys():
        return
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "type": template.get("type", "Opaque"),
        "stringData": dict.fromkeys(sorted(keys), PLACEHOLDER),
    }
    api.apply(secret, _FIELD_MANAGER, force=True)
