"""The volumes of a pod whose process runs on this machine: folders, with the content of its Secrets and ConfigMaps."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object

_TOKEN_SECONDS = 24 * 3600


class MissingObjectError(Exception):
    """An object that a pod mounts does not exist; a kubelet waits for it."""


def create_volumes(api: ApiClient, pod: Object, folder: Path) -> Mapping[str, Path]:
    """Create a folder for each volume of a pod's container; returns them by the path that it is mounted at.

    Raises MissingObjectError.
    """
    namespace, spec = pod["metadata"]["namespace"], pod["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
    mounted = {}
    for mount in spec["containers"][0].get("volumeMounts", ()):
        volume = volumes[mount["name"]]
        path = folder / mount["name"]
        path.mkdir(parents=True, exist_ok=True)
        for source in (volume, *volume.get("projected", {}).get("sources", ())):
            for name, content in _read_files(api, namespace, source):
                (path / name).write_bytes(content)
            # Tokens for others than the API server are left out: the clouds that take them are simulated.
            if "audience" not in source.get("serviceAccountToken", {"audience": ""}):
                token = _request_token(api, namespace, spec["serviceAccountName"])
                (path / source["serviceAccountToken"]["path"]).write_text(token)
        mounted[mount["mountPath"]] = path
    return mounted


def translate_path(text: str, mounted: Mapping[str, Path]) -> str:
    """A text that is a path in a mounted volume, as a path on this machine; any other text as it is."""
    for mount_path, folder in mounted.items():
        if text == mount_path or text.startswith(f"{mount_path}/"):
            return f"{folder}{text.removeprefix(mount_path)}"
    return text


def _read_files(api: ApiClient, namespace: str, source: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The files of a volume, or of a source of a projected one; none for a token."""
    for kind, key, name_key in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
        if key in source:
            reference = source[key]
            name = reference.get(name_key) or reference["name"]
            found = api.get("v1", kind, name, namespace)
            if found is None and not reference.get("optional"):
                raise MissingObjectError(f'{kind.lower()} "{name}" not found')
            for file, text in ((found or {}).get("data") or {}).items():
                yield file, base64.b64decode(text) if kind == "Secret" else text.encode()


def _request_token(api: ApiClient, namespace: str, account: str) -> str:
    """A service account's token for the API server. The kubelet stub replaces none: a scenario ends within a day."""
    path = api.discover("v1", "ServiceAccount").object_path(namespace, account)
    manifest = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    reply = api.request("POST", f"{path}/token", body={**manifest, "spec": {"expirationSeconds": _TOKEN_SECONDS}})
    return str(reply["status"]["token"])
