"""The volumes of a pod whose processes run on this machine: folders with the content of its Secrets and ConfigMaps."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object

_TOKEN_SECONDS = 24 * 3600
_CLAIMS = "claims"  # the folder of volumes that outlive their pods


class MissingObjectError(Exception):
    """An object that a pod mounts does not exist; a kubelet waits for it."""


def create_volumes(api: ApiClient, pod: Object, folder: Path) -> Mapping[str, Path]:
    """Create a folder for each volume of a pod, below the pod's folder; returns them keyed by the volume's name.

    A claim's volume is beside the pod's folder, where the claim's next pod finds it. Raises MissingObjectError.
    """
    volumes = {}
    for volume in pod["spec"].get("volumes", ()):
        path = _find_folder(pod, volume, folder)
        path.mkdir(parents=True, exist_ok=True)
        _write_files(api, pod, volume, path)
        for source in volume.get("projected", {}).get("sources", ()):
            # Tokens for audiences other than the API server are left out: the clouds that accept them are simulated.
            if "audience" not in source.get("serviceAccountToken", {"audience": ""}):
                token = _request_token(api, pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"])
                (path / source["serviceAccountToken"]["path"]).write_text(token)
        volumes[volume["name"]] = path
    return volumes


def refresh_config_maps(api: ApiClient, pod: Object, volumes: Mapping[str, Path]) -> None:
    """Update the files of ConfigMaps, as kubelets do while a pod runs. Files of Secrets are not updated."""
    for volume in pod["spec"].get("volumes", ()):
        if "configMap" in volume:
            _write_files(api, pod, volume, volumes[volume["name"]])


def find_mounts(container: Mapping[str, Any], volumes: Mapping[str, Path]) -> Mapping[str, Path]:
    """The folders of a container's volumes, keyed by mount path."""
    return {mount["mountPath"]: volumes[mount["name"]] for mount in container.get("volumeMounts", ())}


def translate_path(text: str, mounted: Mapping[str, Path]) -> str:
    """Translate a path in a mounted volume to a path on this machine; any other text is returned unchanged."""
    for mount_path, folder in mounted.items():
        if text == mount_path or text.startswith(f"{mount_path}/"):
            return f"{folder}{text.removeprefix(mount_path)}"
    return text


def _find_folder(pod: Object, volume: Mapping[str, Any], folder: Path) -> Path:
    claim = volume.get("persistentVolumeClaim")
    if claim is None:
        return folder / str(volume["name"])
    return folder.parent / _CLAIMS / str(pod["metadata"]["namespace"]) / str(claim["claimName"])


def _write_files(api: ApiClient, pod: Object, volume: Mapping[str, Any], path: Path) -> None:
    for source in (volume, *volume.get("projected", {}).get("sources", ())):
        for name, content in _read_files(api, pod["metadata"]["namespace"], source):
            file = path / name
            if not file.exists() or file.read_bytes() != content:
                file.parent.mkdir(parents=True, exist_ok=True)
                draft = file.with_name(f".{file.name}.draft")  # readers see either the old content or all of the new
                draft.write_bytes(content)
                draft.replace(file)


def _read_files(api: ApiClient, namespace: str, source: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The files of a volume, or of a source of a projected volume; none for a token."""
    for kind, key, name_key in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
        if key in source:
            reference = source[key]
            name = reference.get(name_key) or reference["name"]
            found = api.get("v1", kind, name, namespace)
            if found is None and not reference.get("optional"):
                raise MissingObjectError(f'{kind.lower()} "{name}" not found')
            data = (found or {}).get("data") or {}
            names = {item["key"]: item["path"] for item in reference.get("items", ())} or {key: key for key in data}
            for item, path in names.items():
                if item in data:
                    yield path, base64.b64decode(data[item]) if kind == "Secret" else data[item].encode()


def _request_token(api: ApiClient, namespace: str, account: str) -> str:
    """Request a service account's token for the API server. It is never renewed: a scenario ends within a day."""
    path = api.discover("v1", "ServiceAccount").object_path(namespace, account)
    manifest = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    reply = api.request("POST", f"{path}/token", body={**manifest, "spec": {"expirationSeconds": _TOKEN_SECONDS}})
    return str(reply["status"]["token"])
