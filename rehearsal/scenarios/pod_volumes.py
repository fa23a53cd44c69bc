"""The volumes of a pod whose process runs on this machine: folders, with the content of its Secrets and ConfigMaps."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object


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
        mounted[mount["mountPath"]] = path
    return mounted


def translate_path(text: str, mounted: Mapping[str, Path]) -> str:
    """A text that is a path in a mounted volume, as a path on this machine; any other text as it is."""
    for mount_path, folder in mounted.items():
        if text == mount_path or text.startswith(f"{mount_path}/"):
            return f"{folder}{text.removeprefix(mount_path)}"
    return text


def _read_files(api: ApiClient, namespace: str, source: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The files of a volume, or of a source of a projected one. Tokens of service accounts are left out."""
    for kind, key, name_key in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
        if key in source:
            reference = source[key]
            name = reference.get(name_key) or reference["name"]
            found = api.get("v1", kind, name, namespace)
            if found is None and not reference.get("optional"):
                raise MissingObjectError(f'{kind.lower()} "{name}" not found')
            for file, text in ((found or {}).get("data") or {}).items():
                yield file, base64.b64decode(text) if kind == "Secret" else text.encode()
