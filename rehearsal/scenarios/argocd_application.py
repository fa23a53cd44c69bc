"""The status of the Argo CD Application of the models, which the stack's app of apps created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.console import UserError
from rehearsal.kubernetes.client import ApiClient

_NAME, NAMESPACE = "models", "argocd"
_API_VERSION = "argoproj.io/v1alpha1"


def is_synced(api: ApiClient, revision: str) -> bool:
    """Whether Argo CD has applied a commit. Raises UserError with its message when it cannot."""
    status = _get_status(api)
    operation = status.get("operationState", {})
    if operation.get("phase") in ("Error", "Failed") and operation.get("syncResult", {}).get("revision") == revision:
        raise UserError(f"Argo CD cannot sync {revision[:9]}: {operation.get('message')}")
    sync = status.get("sync", {})
    return bool(sync.get("revision") == revision and sync.get("status") == "Synced")


def describe_out_of_sync(api: ApiClient) -> str:
    """The resources that Argo CD finds to differ from git."""
    resources = _get_status(api).get("resources", ())
    differing = [
        f"{resource['kind']} {resource['name']}" for resource in resources if resource.get("status") != "Synced"
    ]
    return f"out of sync: {', '.join(differing) or 'nothing'}"


def _get_status(api: ApiClient) -> Mapping[str, Any]:
    application = api.get(_API_VERSION, "Application", _NAME, NAMESPACE) or {}
    status: Mapping[str, Any] = application.get("status", {})
    return status
