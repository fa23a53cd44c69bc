"""Validation of objects, offline, against the published schemas of the Kubernetes API.

A valid object has the right shape: known fields of the right types. Errors that only the API server's own validation
and admission detect are not found here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator
from referencing import Registry, Resource

VERSION = "1.33"

# The package's own `validate` reads and indexes megabytes of definitions for each object.
_SCHEMAS = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}.0-local-strict"

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
    """The first error in the shape of an object of a built-in kind; None if it is valid.

    Unknown fields are errors, as with `kubectl apply --validate=strict`. The values of a Secret are not quoted.
    """
    api_version, kind = str(manifest.get("apiVersion")), str(manifest.get("kind"))
    validator = _create_validator(api_version, kind)
    if validator is None:
        return f"Kubernetes {VERSION} does not serve {api_version} {kind}: no match for kind"
    error = best_match(validator.iter_errors(dict(manifest)))
    if error is None:
        return None
    field = ".".join(map(str, error.path)) or "object"
    # The message about a Secret's field would contain its value.
    return f"{kind} is invalid: {field}" + ("" if kind == "Secret" else f": {error.message}")


@cache
def _create_validator(api_version: str, kind: str) -> Draft202012Validator | None:
    """The validator of a kind; None if there is no such kind."""
    version = re.sub(r"(\.[^/]*)?/", "-", api_version)  # rbac.authorization.k8s.io/v1 is rbac-v1
    file = _SCHEMAS / f"{kind.lower()}-{version}.json"
    if not file.is_file():
        return None
    return Draft202012Validator(json.loads(file.read_text()), registry=_definitions())


@cache
def _definitions() -> Registry:
    """The definitions that the kinds' schemas refer to."""
    contents = json.loads((_SCHEMAS / "_definitions.json").read_text())
    return Resource.from_contents(contents) @ Registry()
