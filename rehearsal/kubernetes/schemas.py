"""The published schemas of the Kubernetes API, against which objects are held offline.

An object that follows its schema has the right shape: fields that exist, of the right types. What the API server's own
validation and admission say beyond that is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kubernetes_validate

VERSION = "1.33"

# The groups that the API server itself serves; every other one belongs to somebody's CRDs.
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
        "extensions",  # no longer served: what still asks for it has to be told
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
    """Whether the kind is one of Kubernetes' own; a custom kind has no schema here."""
    group, slash, _ = str(manifest.get("apiVersion")).rpartition("/")
    return (group if slash else "") in _BUILT_IN_GROUPS


def complaint(manifest: Mapping[str, Any]) -> str | None:
    """What the API server would say of the object's shape, None where nothing is wrong with it.

    Strict: a field that the schema does not know is an error, as it is with `kubectl apply --validate=strict`.
    """
    kind = manifest.get("kind")
    try:
        kubernetes_validate.validate(dict(manifest), VERSION, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return f"no schema of {manifest.get('apiVersion')} {kind} in Kubernetes {VERSION}: no match for kind"
    except kubernetes_validate.ValidationError as error:
        field = ".".join(map(str, error.path)) or "object"
        # The message of a Secret's field would hold its value.
        return f"{kind} is invalid: {field}" + ("" if kind == "Secret" else f": {error.message}")
    return None
