"""Validation of objects, offline, against the published schemas of the Kubernetes API.

A valid object has the right shape: known fields of the right types. What the API server's own validation and admission
would refuse beyond that is not found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kubernetes_validate

VERSION = "1.33"

# The groups that the API server itself serves; all others come from CustomResourceDefinitions.
# Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/
_BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",  # no longer served; here so that its use is an error
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)


def is_built_in(manifest: Mapping[str, Any]) -> bool:
    """Whether the kind is one of Kubernetes' own. Custom kinds have no published schema."""
    group, slash, _ = str(manifest.get("apiVersion")).rpartition("/")
    return (group if slash else "") in _BUILT_IN_GROUPS


def find_schema_error(manifest: Mapping[str, Any]) -> str | None:
    """The first error in the shape of an object of a built-in kind, None where it is valid.

    Unknown fields are errors, as with `kubectl apply --validate=strict`. The values of a Secret are not quoted.
    """
    kind = manifest.get("kind")
    try:
        kubernetes_validate.validate(dict(manifest), VERSION, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return f"Kubernetes {VERSION} does not serve {manifest.get('apiVersion')} {kind}: no match for kind"
    except kubernetes_validate.ValidationError as error:
        field = ".".join(map(str, error.path)) or "object"
        # The message of a Secret's field would hold its value.
        return f"{kind} is invalid: {field}" + ("" if kind == "Secret" else f": {error.message}")
    return None
