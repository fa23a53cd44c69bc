"""The manifests of one model, with only the fields that change from version to version.

The InferenceService says which version it serves, and that version's lineage. Replicas, probes, resources and security
are the same for every model: the repository's base adds them with kustomize.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml

from lifecycle.core import CHALLENGER, ROLES, LifecycleError, ModelVersion
from lifecycle.core.names import ANNOTATION_DOMAIN
from lifecycle.core.text import to_line
from lifecycle.gitops.settings import GitopsSettings

# The stacks' kustomizations replace this name with a registry, a repository and a digest.
_IMAGE = "groundwork-serving"
_CONTAINER = "kserve-container"

# KServe names a predictor's Service `<InferenceService>-predictor`, a DNS label, with port 80:
# https://github.com/kserve/kserve/blob/v0.20.0/pkg/constants/constants.go (PredictorServiceName, CommonDefaultHttpPort)
_SERVICE = "{}-predictor"
_PORT = 80
_MAX_DEPTH = 64  # of a YAML file; a manifest has about ten levels
_MAX_NAME = 63 - len(_SERVICE.format(f"-{CHALLENGER}"))
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
# The InferenceServices of a model are named `<model>-<role>`, and KServe's objects for them `<model>-<role>-...`. The
# objects of a model with such a name would collide with those of another model.
_RESERVED_NAME = re.compile(rf"-({'|'.join(ROLES)})(-predictor)?$")

# The platform's services, by the first label of their names at the gateway, where a model's route would collide with
# theirs: the project's infra/people.py. A stack's folder of experiments has such a name too.
SERVICE_NAMES = ("argocd", "experiments", "grafana", "mlflow")

# The paths that a model's users may request: https://gateway-api.sigs.k8s.io/api-types/httproute/#matches. The server's
# other paths, /metrics and the probes, are only for the cluster.
_PUBLIC_PATHS = (("Exact", "/predict"), ("PathPrefix", "/v1/models"), ("PathPrefix", "/v2"))

Manifest = Mapping[str, Any]
Weights = Mapping[str, int]
"""Percent of the requests, keyed by role."""


class InvalidNameError(LifecycleError):
    """A registered model's name is not valid for objects in a cluster."""


def is_valid_name(model: str) -> bool:
    """Whether Services, routes and folders can have the model's name."""
    return bool(_NAME.fullmatch(model)) and len(model) <= _MAX_NAME and model not in SERVICE_NAMES


def check_name(model: str) -> None:
    """Raises InvalidNameError unless Services, routes and folders can have the model's name."""
    if model in SERVICE_NAMES:
        raise InvalidNameError(
            f"the registered model's name '{model}' is the name of a platform service ({', '.join(SERVICE_NAMES)}), "
            "whose host name at the gateway it would share; register the model under another name"
        )
    if not is_valid_name(model):
        raise InvalidNameError(
            f"the registered model's name '{to_line(model)}' is not valid as the name of a Service: use lower-case "
            f"letters, digits and hyphens, starting with a letter, at most {_MAX_NAME}; register the model under such "
            "a name"
        )
    if _RESERVED_NAME.search(model):
        raise InvalidNameError(
            f"the registered model's name '{model}' ends like the names of another model's InferenceServices, which "
            f"are named {' and '.join(f'`<model>-{role}`' for role in ROLES)}; register the model under another name"
        )


def service_name(model: str, role: str) -> str:
    """The Service in front of a role's pods."""
    return _SERVICE.format(f"{model}-{role}")


def render_inference_service(model_version: ModelVersion, role: str) -> str:
    """YAML of the InferenceService that serves a version in a role, and of its PodDisruptionBudget."""
    name = f"{model_version.model}-{role}"
    labels = {
        "app.kubernetes.io/part-of": "groundwork",
        "app.kubernetes.io/name": model_version.model,
        "app.kubernetes.io/version": model_version.version,
        f"{ANNOTATION_DOMAIN}/role": role,
    }
    annotations = model_version.annotations
    container = {
        "name": _CONTAINER,
        "image": _IMAGE,
        "env": [
            {"name": "MODEL_NAME", "value": model_version.model},
            {"name": "MODEL_VERSION", "value": model_version.version},
        ],
    }
    inference_service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"predictor": {"labels": labels, "annotations": annotations, "containers": [container]}},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "labels": labels},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"serving.kserve.io/inferenceservice": name}}},
    }
    return _dump(inference_service, budget)


def parse_model_version(text: str) -> ModelVersion:
    """The version in an InferenceService's annotations. Raises ValueError if one of them is not a string."""
    annotations = parse_first(text)["metadata"].get("annotations", {})
    if not all(isinstance(value, str) for value in annotations.values()):
        raise ValueError("annotations must be strings: quote them")
    return ModelVersion.from_annotations(annotations)


def render_route(model: str, weights: Weights, settings: GitopsSettings) -> str:
    """YAML of the HTTPRoute that splits a model's requests."""
    backends = [
        {"name": service_name(model, role), "port": _PORT, "weight": weights[role]} for role in ROLES if role in weights
    ]
    matches = [{"path": {"type": type_, "value": path}} for type_, path in _PUBLIC_PATHS]
    labels = {"app.kubernetes.io/part-of": "groundwork", "app.kubernetes.io/name": model}
    return _dump(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": model, "labels": labels},
            "spec": {
                "parentRefs": [{"name": settings.gateway, "namespace": settings.gateway_namespace}],
                "hostnames": [f"{model}.{settings.domain}"],
                "rules": [{"matches": matches, "backendRefs": backends}],
            },
        }
    )


def parse_weights(model: str, text: str) -> Weights:
    """The weights in an HTTPRoute."""
    references = parse_first(text)["spec"]["rules"][0]["backendRefs"]
    backends = {reference["name"]: int(reference["weight"]) for reference in references}
    return {role: backends[service_name(model, role)] for role in ROLES if service_name(model, role) in backends}


def render_kustomization(resources: Iterable[str]) -> str:
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(resources),
    }
    return f"# Promotions and rollouts write these files. Settings are in ../kustomization.yaml.\n{_dump(content)}"


def render_settings(model: str) -> str:
    """The initial kustomization for people's settings of a model."""
    return _SETTINGS.format(model=model)


_SETTINGS = """\
# Settings of {model} on this stack. People edit this file; promotions and rollouts never do. It is applied after the
# overlay. An example, as JSON Patch: five pods at least, with more CPU and memory.
#   - target: {{kind: InferenceService, name: {model}-(champion|challenger)}}
#     patch: |-
#       - {{op: replace, path: /spec/predictor/minReplicas, value: 5}}
#       - op: replace
#         path: /spec/predictor/containers/0/resources
#         value: {{requests: {{cpu: "1", memory: 2Gi}}, limits: {{cpu: "4", memory: 4Gi}}}}
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches: []
"""


def set_entry(text: str, key: str, entry: str, *, present: bool) -> str:
    """A kustomization with or without an entry of a list; all other lines are unchanged.

    A list in brackets is rewritten with one line per entry.
    """
    _check_depth(text)
    root: Any = yaml.compose(text, _LOADER)
    pairs = {} if root is None else {name.value: (name, value) for name, value in root.value}
    name, node = pairs.get(key, (None, None))
    items = list(node.value) if isinstance(node, yaml.SequenceNode) else []
    entries = [item.value for item in items]
    if (entry in entries) == present:
        return text
    if present and items and not node.flow_style:
        start, end = _find_line(text, items[-1])
        line = text[start : items[-1].start_mark.index] + entry
        return f"{text[:end].rstrip()}\n{line}\n{text[end:]}"
    if not present and len(items) > 1 and not node.flow_style:
        start, end = _find_line(text, items[entries.index(entry)])
        return text[:start] + text[end:]
    entries = [*entries, entry] if present else [each for each in entries if each != entry]
    lines = f"{key}:\n" + "".join(f"- {each}\n" for each in entries) if entries else f"{key}: []\n"
    if name is None:
        return (f"{text.rstrip()}\n" if text.strip() else "") + lines
    _, end = _find_line(text, items[-1] if items and not node.flow_style else node)
    return text[: name.start_mark.index] + lines + text[end:]


def _find_line(text: str, node: yaml.Node) -> tuple[int, int]:
    """Where the lines of a node start and end, including the line break."""
    end = text.find("\n", max(node.end_mark.index - 1, node.start_mark.index))
    return text.rfind("\n", 0, node.start_mark.index) + 1, len(text) if end < 0 else end + 1


def _check_depth(text: str) -> None:
    """Raises ValueError if a text is nested too deeply.

    libyaml composes nodes recursively in native code, so a deeply nested text would end the process. Parsing events is
    not recursive.
    """
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")


@lru_cache(maxsize=256)
def parse_first(text: str) -> Manifest:
    """The first manifest in a YAML file. Cached: callers must not change it."""
    _check_depth(text)
    manifest: Manifest = next(yaml.load_all(text, _LOADER))
    return manifest


# libyaml's classes, if the wheel has them, are ten times as fast as the ones in Python.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _PlainDumper(_DUMPER):  # type: ignore[misc, valid-type]
    """Without anchors: people read these files, and kustomize patches them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _dump(*manifests: Manifest) -> str:
    return str(yaml.dump_all(manifests, Dumper=_PlainDumper, sort_keys=False))
