"""The simulated `kubernetes` provider, for machines without a control plane: objects are validated, nothing runs.

Objects of built-in kinds are validated against the published schemas of the Kubernetes API (kubernetes-validate,
strict: an unknown field is an error), and the namespace of any object must exist. A Helm release's values have to exist
in the chart and satisfy its schema; when the release is created or updated, Helm renders it, and every rendered object
is validated like any other. The output `rendered` says whether a chart was not rendered because it is not available.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import yaml

from kernel.paths import look_up
from kernel.values import UNKNOWN
from rehearsal.helm import charts, rendering
from rehearsal.helm.charts import Chart
from rehearsal.helm.known_values import find_unknown_values
from rehearsal.helm.rendering import Release, RenderError
from rehearsal.kubernetes import schemas
from rehearsal.simulator.core.cloud import Cloud, ProviderFunction
from rehearsal.simulator.core.defaults import was_filled_in
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import AutonamingMode, NamingHints
from rehearsal.simulator.core.resource_model import UNRESTRICTED, Default, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import matches, require_any
from rehearsal.simulator.core.values import has_unknown

RELEASE = "kubernetes:helm.sh/v3:Release"

# Namespaces that every cluster has.
_BUILT_IN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})

# The API server requires names to be RFC 1123 subdomains.
# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"

# Fields that the API server does not change in place, keyed by kind.
# Source: the validation of each kind in k8s.io/kubernetes.
_IMMUTABLE = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
    "Job": ("spec.template", "spec.selector"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName"),
    "Secret": ("type",),
    "StorageClass": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
}


def _build_id(request: ResourceRequest) -> str:
    namespace, name = request.get("metadata.namespace"), request.get("metadata.name")
    return f"{namespace}/{name}" if namespace else str(name)


def make_name(logical_name: str, hints: NamingHints) -> str | None:
    """The name that the provider generates: the logical name and eight hexadecimal digits; None if that is disabled.

    Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/metadata/naming.go
    """
    if hints.mode is AutonamingMode.DISABLE:
        return None
    return hints.proposed if hints.mode else f"{logical_name.lower()}-{hints.hex(8, otherwise=logical_name)}"


def _default_name(path: str) -> Default:
    def fill_name(request: ResourceRequest, old: Mapping[str, Any]) -> Any:
        return look_up(old, path, None) if was_filled_in(old, path) else make_name(request.name, request.hints)

    return fill_name


def _validate_schema(request: ResourceRequest) -> str | None:
    is_checked = schemas.is_built_in(request.inputs) and not has_unknown(request.inputs)
    return schemas.find_schema_error(request.inputs) if is_checked else None


def _require_namespace(request: ResourceRequest) -> str | None:
    path = "namespace" if request.type == RELEASE else "metadata.namespace"
    namespace = request.get(path)
    if namespace in (None, UNKNOWN) or namespace in _BUILT_IN_NAMESPACES or request.get("createNamespace"):
        return None
    namespaces = (found.id for found in request.state.all("kubernetes:core/v1:Namespace"))
    return None if namespace in namespaces else f'namespaces "{namespace}" not found'


def _validate_values(request: ResourceRequest) -> str | None:
    chart, values = Chart.from_inputs(request.inputs), request.get("values", {})
    path = charts.find_package(chart)
    if path is None or values is UNKNOWN:
        return None
    unknown = "; ".join(found.message for found in find_unknown_values(path, values))
    invalid = "; ".join(charts.validate_values(path, values))
    problems = []
    if invalid:
        problems.append(f"values don't meet the specifications of the schema(s) in the chart: {invalid}")
    if unknown:
        problems.append(
            f"Helm would ignore values that {chart.name} {chart.version} does not know: {unknown}. "
            "Remedy: correct or remove these keys in the values that the program passes to the release"
        )
    return ". ".join(problems) or None


def _validate_rendering(request: ResourceRequest) -> str | None:
    """Helm's error, or the API server's about rendered objects. A chart that is not available raises no error."""
    try:
        problems = rendering.render(Release.from_inputs(request.inputs)).problems
    except RenderError as error:
        return f"{request.get('name')} could not be rendered: {error}"
    return "; ".join(problems) or None


def _summarize_rendering(request: ResourceRequest) -> Mapping[str, Any]:
    """The numbers of a release's objects. Only numbers: charts generate random secrets, which must not be stored."""
    rendered = rendering.render(Release.from_inputs(request.inputs))
    return {
        "objects": len(rendered.objects),
        "notChecked": len(rendered.custom_objects),
        "reason": rendered.skip_reason,
    }


_RELEASE_MODEL = ResourceModel(
    RELEASE,
    id=lambda request: f"{request.get('namespace')}/{request.get('name')}",
    outputs={
        "status": lambda request: {
            "status": "deployed",
            "revision": 1,
            "chart": request.get("chart"),
            "version": request.get("version"),
            "name": request.get("name"),
            "namespace": request.get("namespace"),
        },
        "rendered": _summarize_rendering,
    },
    required=("chart", "name", "namespace"),
    defaults={"name": _default_name("name"), "namespace": lambda _, old: old.get("namespace", "default")},
    replace_on_changes=("name", "namespace"),
    transitions=UNRESTRICTED,
    rules=(
        matches("name", r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?", "invalid release name '{value}'"),
        require_any(
            ["version"],
            "the version is not set. Helm would install the latest one, which a rehearsal cannot know: set `version`",
        ),
        _validate_values,
    ),
    state_rules=(_require_namespace, _validate_rendering),
)

# For comparing two versions of a program, each of which is rendered in its own rehearsal.
_UNRENDERED_MODEL = replace(
    _RELEASE_MODEL, outputs={"status": _RELEASE_MODEL.outputs["status"]}, state_rules=(_require_namespace,)
)


class _Kubernetes:
    name = "kubernetes"
    account: Mapping[str, str] = {}
    functions: Mapping[str, ProviderFunction] = {}
    secret_functions: Collection[str] = ()

    def __init__(self, release_model: ResourceModel) -> None:
        self._release_model = release_model

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        kubeconfig = variables.get("kubeconfig", UNKNOWN)
        if kubeconfig is UNKNOWN:
            return {}
        try:
            parsed = yaml.safe_load(kubeconfig)
        except yaml.YAMLError:
            parsed = None  # without the parser's message, which quotes the kubeconfig
        if not isinstance(parsed, Mapping) or not parsed.get("clusters"):
            raise CloudError("failed to parse kubeconfig: it names no cluster")
        return {}

    def get_model(self, type_: str) -> ResourceModel | None:
        if type_ == RELEASE:
            return self._release_model
        kind = type_.rsplit(":", 1)[-1]
        return ResourceModel(
            type_,
            id=_build_id,
            required=("apiVersion", "kind", "metadata.name"),
            defaults={"metadata.name": _default_name("metadata.name")},
            replace_on_changes=("metadata.name", "metadata.namespace", *_IMMUTABLE.get(kind, ())),
            transitions=UNRESTRICTED,
            rules=(
                matches("metadata.name", _NAME, "metadata.name: Invalid value: '{value}': not an RFC 1123 subdomain"),
                _validate_schema,
            ),
            state_rules=(_require_namespace,),
            secrets=("data", "stringData") if kind == "Secret" else (),
        )

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:  # noqa: ARG002 its references are names, which rules check
        return None


CLOUD: Cloud = _Kubernetes(_RELEASE_MODEL)
UNRENDERED: Cloud = _Kubernetes(_UNRENDERED_MODEL)
"""Checks the values of releases without rendering them."""
