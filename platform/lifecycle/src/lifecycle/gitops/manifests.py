"""The manifests of one model: what changes from version to version, and nothing else.

An InferenceService here says which version it serves and where that came from. Replicas, probes, resources and
security are the same for every model: the repository's base adds them by kustomize.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from lifecycle.gitops.settings import GitopsSettings

DOMAIN = "groundwork.dev"
CHAMPION = "champion"
CHALLENGER = "challenger"
ROLES = (CHAMPION, CHALLENGER)

# The name that the environments' overlays replace by a registry, a repository and a digest.
_IMAGE = "groundwork-serving"
_CONTAINER = "kserve-container"

# KServe calls a predictor's Service `<InferenceService>-predictor`, a DNS label, and lets it listen on 80:
# https://github.com/kserve/kserve/blob/v0.20.0/pkg/constants/constants.go (PredictorServiceName, CommonDefaultHttpPort)
_SERVICE = "{}-predictor"
_PORT = 80
_NAME_LIMIT = 63 - len(_SERVICE.format(f"-{CHALLENGER}"))
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")

Manifest = Mapping[str, Any]
Weights = Mapping[str, int]


class UnfitNameError(ValueError):
    """A registered model's name that cannot name objects in a cluster."""


@dataclass(frozen=True)
class Lineage:
    """One version of a model and where it came from; empty where MLflow does not know."""

    model: str
    version: str
    run_id: str = ""
    data_version: str = ""
    git_commit: str = ""

    @property
    def annotations(self) -> dict[str, str]:
        values = (self.model, self.version, self.run_id, self.data_version, self.git_commit)
        return {f"{DOMAIN}/{key}": value for key, value in zip(_FACTS, values, strict=True) if value}

    @classmethod
    def of(cls, manifest: Manifest) -> Lineage:
        """What a manifest's annotations say."""
        notes = manifest["metadata"].get("annotations", {})
        return cls(*(notes.get(f"{DOMAIN}/{key}", "") for key in _FACTS))


_FACTS = ("model", "version", "run-id", "data-version", "git-commit")


def check_name(model: str) -> None:
    """Raises UnfitNameError unless services, routes and folders can be called after the model."""
    if not _NAME.fullmatch(model) or len(model) > _NAME_LIMIT:
        raise UnfitNameError(
            f"the registered model's name '{model}' cannot name a service: it takes lower-case letters, digits and "
            f"hyphens, a letter first, at most {_NAME_LIMIT}; register the model under such a name"
        )


def service(model: str, role: str) -> str:
    """The name of the Service in front of a role's pods."""
    return _SERVICE.format(f"{model}-{role}")


def predictor(lineage: Lineage, role: str) -> str:
    """YAML of the InferenceService that serves a version in a role, and of its disruption budget."""
    name = f"{lineage.model}-{role}"
    labels = {
        "app.kubernetes.io/part-of": "groundwork",
        "app.kubernetes.io/name": lineage.model,
        "app.kubernetes.io/version": lineage.version,
        f"{DOMAIN}/role": role,
    }
    container = {
        "name": _CONTAINER,
        "image": _IMAGE,
        "env": [
            {"name": "MODEL_NAME", "value": lineage.model},
            {"name": "MODEL_VERSION", "value": lineage.version},
        ],
    }
    inference_service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "labels": labels, "annotations": lineage.annotations},
        "spec": {"predictor": {"labels": labels, "annotations": lineage.annotations, "containers": [container]}},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "labels": labels},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"serving.kserve.io/inferenceservice": name}}},
    }
    return _yaml(inference_service, budget)


def route(model: str, weights: Weights, settings: GitopsSettings) -> str:
    """YAML of the HTTPRoute that splits a model's requests; weights are percent by role."""
    backends = [
        {"name": service(model, role), "port": _PORT, "weight": weights[role]} for role in ROLES if role in weights
    ]
    labels = {"app.kubernetes.io/part-of": "groundwork", "app.kubernetes.io/name": model}
    return _yaml(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": model, "labels": labels},
            "spec": {
                "parentRefs": [{"name": settings.gateway, "namespace": settings.gateway_namespace}],
                "hostnames": [f"{model}.{settings.domain}"],
                "rules": [{"backendRefs": backends}],
            },
        }
    )


def weights_of(model: str, manifest: Manifest) -> Weights:
    """Percent by role, as a route says."""
    backends = {backend["name"]: int(backend["weight"]) for backend in manifest["spec"]["rules"][0]["backendRefs"]}
    return {role: backends[service(model, role)] for role in ROLES if service(model, role) in backends}


def kustomization(resources: Iterable[str]) -> str:
    return _yaml(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": sorted(resources),
        }
    )


def with_resource(text: str, resource: str, *, wanted: bool = True) -> str:
    """A kustomization's YAML with one more resource, or without it; untouched when that is so already."""
    content = first(text) or {}
    resources = set(content.get("resources") or ())
    if (resource in resources) == wanted:
        return text
    return _yaml({**content, "resources": sorted(resources ^ {resource})})


@lru_cache(maxsize=256)
def first(text: str) -> Manifest:
    """The first manifest in a YAML file. The same for the same text: not to be changed."""
    manifest: Manifest = next(yaml.load_all(text, _LOADER))
    return manifest


# libyaml's classes, where the wheel has them, are ten times as fast as those in Python.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Plain(_DUMPER):  # type: ignore[misc, valid-type]
    """Without anchors: people read these files, and kustomize patches them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _yaml(*manifests: Manifest) -> str:
    return str(yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False))
