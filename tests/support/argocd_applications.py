"""A git repository to commit to, and an Argo CD Application that syncs it. Proves nothing."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.controllers.argocd import CONTROLLERS
from tests.support.processes import list_processes

NAMESPACE = "argocd"
API_VERSION = "argoproj.io/v1alpha1"


@dataclass(frozen=True)
class Repository:
    """A bare repository, and a clone of it to commit in."""

    folder: Path
    clone: Path

    @classmethod
    def create(cls, folder: Path) -> Repository:
        repository = cls(folder / "bare.git", folder / "clone")
        run_git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(repository.folder))
        run_git(folder, "clone", "--quiet", str(repository.folder), str(repository.clone))
        return repository

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write files, delete those whose text is None, and push; returns the commit."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        run_git(self.clone, "add", "--all")
        run_git(self.clone, "commit", "--quiet", "--message=Test")
        run_git(self.clone, "push", "--quiet", "origin", "HEAD:main")
        return run_git(self.clone, "rev-parse", "HEAD")


def project_manifest() -> Object:
    spec = {
        "sourceRepos": ["*"],
        "destinations": [{"server": "https://kubernetes.default.svc", "namespace": "*"}],
        "namespaceResourceWhitelist": [{"group": "", "kind": "ConfigMap"}, {"group": "apps", "kind": "Deployment"}],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "AppProject",
        "metadata": {"name": "tests", "namespace": NAMESPACE},
        "spec": spec,
    }


def application_manifest(namespace: str, source: Mapping[str, str], retry: Mapping[str, Any]) -> Object:
    automated = {"prune": True, "selfHeal": True}
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": namespace, "namespace": NAMESPACE},
        "spec": {
            "project": "tests",
            "source": {"targetRevision": "main", "path": ".", **source},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": automated, "syncOptions": ["ServerSideApply=true"], "retry": retry},
        },
    }


def render_config_map(name: str, value: str) -> str:
    return render_manifest("v1", "ConfigMap", name, {"data": {"value": value}})


def render_mislabelled_deployment() -> str:
    template = {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"selector": {"matchLabels": {"app": "another"}}, "template": template}
    return render_manifest("apps/v1", "Deployment", "web", {"spec": spec})


def render_manifest(api_version: str, kind: str, name: str, rest: Mapping[str, Any]) -> str:
    return yaml.safe_dump({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest})


def get_status(plane: ControlPlane, name: str) -> Mapping[str, Any]:
    return (plane.api.get(API_VERSION, "Application", name, NAMESPACE) or {}).get("status") or {}


def is_synced(plane: ControlPlane, name: str, commit: str) -> bool:
    sync = get_status(plane, name).get("sync", {})
    return bool(sync.get("status") == "Synced" and sync.get("revision") == commit)


def failed_operation(plane: ControlPlane, name: str, commit: str) -> Mapping[str, Any]:
    """The operation that failed to sync a commit; empty until one has failed."""
    operation: Mapping[str, Any] = get_status(plane, name).get("operationState", {})
    revision = operation.get("syncResult", {}).get("revision")
    return operation if operation.get("phase") == "Failed" and revision == commit else {}


def run_git(folder: Path, *arguments: str, **environment: str) -> str:
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


def is_healthy(plane: ControlPlane, application: str) -> bool:
    return bool(get_status(plane, application)["health"]["status"] == "Healthy")


def may_patch_config_maps(plane: ControlPlane, user: str) -> bool:
    """Whether a user is allowed to patch ConfigMaps by the roles that the API server already applies."""
    spec = {"user": user, "resourceAttributes": {"verb": "patch", "resource": "configmaps", "namespace": "default"}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return bool(plane.api.create(review)["status"]["allowed"])


def find_processes(plane: ControlPlane) -> dict[str, int]:
    """The PIDs of this control plane's Argo CD processes, keyed by controller."""
    found = {}
    for process, (program, *_) in list_processes():
        with contextlib.suppress(OSError):  # it has exited meanwhile
            environment = Path(f"/proc/{process}/environ").read_text().split("\0")
            for each in CONTROLLERS:
                own = f"TMPDIR={plane.folder / 'controllers' / each.name}"
                if Path(program).name == each.tool.command and own in environment:
                    found[each.name] = process
    return found


def read_value(plane: ControlPlane, namespace: str, name: str) -> str | None:
    """The value in a ConfigMap of `render_config_map`; None if there is none."""
    found = plane.api.get("v1", "ConfigMap", name, namespace)
    return found["data"]["value"] if found else None
