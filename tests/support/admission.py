"""Enforces the platform's admission rules on the tests' control plane. Proves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from infra.cluster.admission import build_binding_spec, build_policy_spec
from infra.cluster.admission_rules import LEVEL_LABEL
from policies import IMAGE_REGISTRIES
from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from tests.support.waiting import eventually

API_VERSION = "admissionregistration.k8s.io/v1"
POLICY_KIND = "ValidatingAdmissionPolicy"
RESTRICTED = {LEVEL_LABEL: "restricted"}


@contextmanager
def enforce_rules(api: ApiClient, *controls: str, registries: Sequence[str] = IMAGE_REGISTRIES) -> Iterator[None]:
    """Enforce rules as the platform declares them, while the context lasts.

    At the end, waits until the API server has unloaded them, so that the next test can create namespaces.
    """
    for control in controls:
        for kind, spec in (
            (POLICY_KIND, build_policy_spec(control, registries)),
            (f"{POLICY_KIND}Binding", build_binding_spec(control)),
        ):
            api.create({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": control}, "spec": spec})
    try:
        yield
    finally:
        for control in controls:
            api.delete(API_VERSION, f"{POLICY_KIND}Binding", control, propagation_policy="Background")
            api.delete(API_VERSION, POLICY_KIND, control, propagation_policy="Background")
        eventually(lambda: find_denial(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {}}) == "")


def find_denial(api: ApiClient, manifest: Object, debugger: Object | None = None, *, name: str = "other") -> str:
    """Why the API server denies a creation under a name, or an ephemeral container; empty if it does not."""
    kind = api.discover(manifest["apiVersion"], manifest["kind"])
    metadata = manifest["metadata"]
    try:
        if debugger:
            path = kind.object_path(metadata["namespace"], metadata["name"]) + "/ephemeralcontainers"
            body = {"spec": {"ephemeralContainers": [debugger]}}
            api.request("PATCH", path, {"dryRun": "All"}, body, "application/strategic-merge-patch+json")
        else:
            other = {**manifest, "metadata": {**metadata, "name": name}}
            api.request("POST", kind.collection_path(metadata.get("namespace", "")), {"dryRun": "All"}, other)
    except ApiError as error:
        return f"{error.reason}: {error}"
    return ""


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings recursively; a None in `over` removes a key."""
    deep = {key: merge(under.get(key, {}), part) for key, part in over.items() if isinstance(part, Mapping)}
    return {key: part for key, part in {**under, **over, **deep}.items() if part is not None}
