"""A git repository to commit in, and an Argo CD application of it. Proves nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane

NAMESPACE = "argocd"
ARGO = "argoproj.io/v1alpha1"


@dataclass(frozen=True)
class Repository:
    """A bare repository, and a working copy to commit in."""

    folder: Path
    copy: Path

    @classmethod
    def make(cls, folder: Path) -> Repository:
        made = cls(folder / "bare.git", folder / "copy")
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(made.folder))
        git(folder, "clone", "--quiet", str(made.folder), str(made.copy))
        return made

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write files, or remove them, and push; gives the commit."""
        for name, text in files.items():
            path = self.copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        git(self.copy, "add", "--all")
        git(self.copy, "commit", "--quiet", "--message=Test")
        git(self.copy, "push", "--quiet", "origin", "HEAD:main")
        return git(self.copy, "rev-parse", "HEAD")


def application_of(namespace: str, source: Mapping[str, str], retry: Mapping[str, Any]) -> Object:
    automated = {"prune": True, "selfHeal": True}
    return {
        "apiVersion": ARGO,
        "kind": "Application",
        "metadata": {"name": namespace, "namespace": NAMESPACE},
        "spec": {
            "project": "tests",
            "source": {"targetRevision": "main", "path": ".", **source},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": automated, "syncOptions": ["ServerSideApply=true"], "retry": retry},
        },
    }


def config_map(name: str, value: str) -> str:
    return manifest("v1", "ConfigMap", name, {"data": {"value": value}})


def mislabelled_deployment() -> str:
    template = {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"selector": {"matchLabels": {"app": "another"}}, "template": template}
    return manifest("apps/v1", "Deployment", "web", {"spec": spec})


def manifest(api_version: str, kind: str, name: str, rest: Mapping[str, Any]) -> str:
    return yaml.safe_dump({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest})


def status(plane: ControlPlane, name: str) -> Mapping[str, Any]:
    return (plane.api.get(ARGO, "Application", name, NAMESPACE) or {}).get("status") or {}


def synced(plane: ControlPlane, name: str, commit: str) -> bool:
    sync = status(plane, name).get("sync", {})
    return bool(sync.get("status") == "Synced" and sync.get("revision") == commit)


def failed(plane: ControlPlane, name: str, commit: str) -> Mapping[str, Any]:
    """What the synchronisation to a commit ended with, once it has failed."""
    operation: Mapping[str, Any] = status(plane, name).get("operationState", {})
    revision = operation.get("syncResult", {}).get("revision")
    return operation if operation.get("phase") == "Failed" and revision == commit else {}


def git(folder: Path, *arguments: str, **environment: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    reply = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return reply.stdout.strip()
