"""The status of an Argo CD Application that the stack's app of apps created: of the models, or of the experiments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.console import UserError
from rehearsal.kubernetes.client import ApiClient

MODELS, EXPERIMENTS = "models", "experiments"

NAMESPACE = "argocd"
_API_VERSION = "argoproj.io/v1alpha1"


def is_synced(api: ApiClient, name: str, revision: str) -> bool:
    """Whether Argo CD has applied a commit of an Application. Raises UserError with its message if it cannot."""
    status = _get_status(api, name)
    operation = status.get("operationState", {})
    if operation.get("phase") in ("Error", "Failed") and operation.get("syncResult", {}).get("revision") == revision:
        raise UserError(f"Argo CD cannot sync {revision[:9]}: {operation.get('message')}")
    sync = status.get("sync", {})
    return bool(sync.get("revision") == revision and sync.get("status") == "Synced")


def describe_out_of_sync(api: ApiClient, name: str) -> str:
    """The resources that differ from git according to Argo CD."""
    resources = _get_status(api, name).get("resources", ())
    differing = [
        f"{resource['kind']} {resource['name']}" for resource in resources if resource.get("status") != "Synced"
    ]
    return f"out of sync: {', '.join(differing) or 'nothing'}"


def _get_status(api: ApiClient, name: str) -> Mapping[str, Any]:
    application = api.get(_API_VERSION, "Application", name, NAMESPACE) or {}
    status: Mapping[str, Any] = application.get("status", {})
    return status
