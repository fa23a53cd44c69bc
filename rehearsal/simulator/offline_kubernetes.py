"""The simulated `kubernetes` provider: objects are checked offline, nothing runs.

Built-in kinds are held against the published schemas of the Kubernetes API (kubernetes-validate, strict: an unknown
field is an error), and a namespace has to exist. A Helm release's values are held against the chart's own schema, and
when it is created or updated the real Helm renders it, and every object of it is held against the same schemas. Where
the chart cannot be had, the release says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from rehearsal.helm import charts, rendering
from rehearsal.helm.charts import Chart
from rehearsal.helm.rendering import Release, RenderError
from rehearsal.kubernetes import schemas
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import Cloud, Invoke, ResourceModel, ResourceRequest, matches
from rehearsal.simulator.core.values import UNKNOWN, has_unknown

RELEASE = "kubernetes:helm.sh/v3:Release"

# Namespaces that every cluster has.
_BUILT_IN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})

# What the API server takes for a name: RFC 1123 subdomains.
# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"

# Fields the API server will not change in place, by kind. Source: the validation of each kind in k8s.io/kubernetes.
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


def _id(request: ResourceRequest) -> str:
    namespace, name = request.get("metadata.namespace"), request.get("metadata.name")
    return f"{namespace}/{name}" if namespace else str(name)


def _follows_schema(request: ResourceRequest) -> str | None:
    return None if has_unknown(request.inputs) else schemas.complaint(request.inputs)


def _namespace_exists(request: ResourceRequest) -> str | None:
    path = "namespace" if request.type == RELEASE else "metadata.namespace"
    namespace = request.get(path)
    if namespace in (None, UNKNOWN) or namespace in _BUILT_IN_NAMESPACES or request.get("createNamespace"):
        return None
    namespaces = (existing.id for existing in request.state.all("kubernetes:core/v1:Namespace"))
    return None if namespace in namespaces else f'namespaces "{namespace}" not found'


def _values_fit_chart(request: ResourceRequest) -> str | None:
    path = charts.package(Chart.of(request.inputs))
    values = request.get("values", {})
    complaints = charts.complaints(path, values) if path and values is not UNKNOWN else []
    if not complaints:
        return None
    return "values don't meet the specifications of the schema(s) in the chart: " + "; ".join(complaints)


def _renders(request: ResourceRequest) -> str | None:
    """Helm's refusal to render, or the API server's of what was rendered. A chart that can't be had refuses nothing."""
    try:
        complaints = rendering.render(Release.of(request.inputs)).complaints
    except RenderError as error:
        return f"{request.get('name')} could not be rendered: {error}"
    return "; ".join(complaints) or None


def _rendered(request: ResourceRequest) -> Mapping[str, Any]:
    """How many objects a release consists of: counts only, for what charts make at random must not be written down."""
    rendered = rendering.render(Release.of(request.inputs))
    return {"objects": len(rendered.objects), "notChecked": len(rendered.custom), "reason": rendered.reason}


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
        "rendered": _rendered,
    },
    required=("chart", "name", "namespace", "version"),
    replace_on_changes=("name", "namespace"),
    rules=(
        matches("name", r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?", "invalid release name '{value}'"),
        _values_fit_chart,
    ),
    state_rules=(_namespace_exists, _renders),
)


class _Kubernetes:
    name = "kubernetes"
    account: Mapping[str, str] = {}
    invokes: Mapping[str, Invoke] = {}
    secret_invokes: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        kubeconfig = variables.get("kubeconfig", UNKNOWN)
        if kubeconfig is UNKNOWN:
            return {}
        try:
            parsed = yaml.safe_load(kubeconfig)
        except yaml.YAMLError:
            parsed = None  # the parser's message would quote the kubeconfig
        if not isinstance(parsed, Mapping) or not parsed.get("clusters"):
            raise CloudError("failed to parse kubeconfig: it names no cluster")
        return {}

    def model(self, type_: str) -> ResourceModel | None:
        if type_ == RELEASE:
            return _RELEASE_MODEL
        kind = type_.rsplit(":", 1)[-1]
        return ResourceModel(
            type_,
            id=_id,
            required=("apiVersion", "kind", "metadata.name"),
            replace_on_changes=("metadata.name", "metadata.namespace", *_IMMUTABLE.get(kind, ())),
            rules=(
                matches("metadata.name", _NAME, "metadata.name: Invalid value: '{value}': not an RFC 1123 subdomain"),
                _follows_schema,
            ),
            state_rules=(_namespace_exists,),
            secrets=("data", "stringData") if kind == "Secret" else (),
        )

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:  # noqa: ARG002 its references are names, judged by rules
        return None


CLOUD: Cloud = _Kubernetes()
