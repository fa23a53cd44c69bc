"""Checks that objects in the cluster reference objects that exist: gateways, roles and accounts, issuers, classes.

The API server accepts every reference, and a controller waits for a missing object without a visible error. Each row of
the table is a property in which one kind names another, according to the documentation of its API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.paths import each_value
from kernel.values import ABSENT
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.expected_objects import ExpectedObjects
from rehearsal.kubernetes.readiness.label_selectors import labels_of, matches
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.wiring.graph import Wiring

_RBAC, _GATEWAY, _ENVOY = (
    "rbac.authorization.k8s.io/v1",
    "gateway.networking.k8s.io/v1",
    "gateway.envoyproxy.io/v1alpha1",
)
_CERTS, _SECRETS, _ARGO = "cert-manager.io/v1", "external-secrets.io/v1", "argoproj.io/v1alpha1"
_KARPENTER, _POLICY = "karpenter.sh/v1", "admissionregistration.k8s.io/v1"
# The API versions of kinds, for references that name only the kind.
_VERSIONS: Mapping[str, str] = {
    "Role": _RBAC,
    "ClusterRole": _RBAC,
    "ServiceAccount": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "Gateway": _GATEWAY,
    "GatewayClass": _GATEWAY,
    "HTTPRoute": _GATEWAY,
    "EnvoyProxy": _ENVOY,
    "Issuer": _CERTS,
    "ClusterIssuer": _CERTS,
    "SecretStore": _SECRETS,
    "ClusterSecretStore": _SECRETS,
    "AppProject": _ARGO,
    "EC2NodeClass": "karpenter.k8s.aws/v1",
    "ValidatingAdmissionPolicy": _POLICY,
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
}
_OF_THE_CLUSTER = {"ClusterRole", "GatewayClass", "ClusterIssuer", "ClusterSecretStore", "EC2NodeClass"} | {
    "ValidatingAdmissionPolicy"
}


@dataclass(frozen=True)
class _Row:
    """A kind that names another at `path`, by `{"name": ...}` or by a text; `target` if the kind is not included."""

    api_version: str
    kind: str
    path: str
    target: str = ""


_ROWS = (
    _Row(_RBAC, "RoleBinding", "roleRef"),
    _Row(_RBAC, "ClusterRoleBinding", "roleRef"),
    _Row(_RBAC, "RoleBinding", "subjects[*]"),
    _Row(_RBAC, "ClusterRoleBinding", "subjects[*]"),
    _Row(_GATEWAY, "Gateway", "spec.gatewayClassName", "GatewayClass"),
    _Row(_GATEWAY, "Gateway", "spec.listeners[*].tls.certificateRefs[*]", "Secret"),
    _Row(_GATEWAY, "GatewayClass", "spec.parametersRef"),
    _Row(_GATEWAY, "HTTPRoute", "spec.parentRefs[*]", "Gateway"),
    _Row(_GATEWAY, "HTTPRoute", "spec.rules[*].backendRefs[*]", "Service"),
    _Row(_ENVOY, "SecurityPolicy", "spec.targetRefs[*]"),
    _Row(_ENVOY, "SecurityPolicy", "spec.oidc.clientSecret", "Secret"),
    _Row(_ENVOY, "SecurityPolicy", "spec.basicAuth.users", "Secret"),
    _Row(_ENVOY, "BackendTrafficPolicy", "spec.targetRefs[*]"),
    _Row(_ENVOY, "ClientTrafficPolicy", "spec.targetRefs[*]"),
    _Row(_CERTS, "Certificate", "spec.issuerRef", "Issuer"),
    _Row(_CERTS, "ClusterIssuer", "spec.ca.secretName", "Secret"),
    _Row(_SECRETS, "ExternalSecret", "spec.secretStoreRef", "SecretStore"),
    _Row(_ARGO, "Application", "spec.project", "AppProject"),
    _Row(_KARPENTER, "NodePool", "spec.template.spec.nodeClassRef"),
    _Row(_POLICY, "ValidatingAdmissionPolicyBinding", "spec.policyName", "ValidatingAdmissionPolicy"),
    _Row("autoscaling/v2", "HorizontalPodAutoscaler", "spec.scaleTargetRef"),
)
# Cluster-scoped kinds whose Secrets are in another namespace: for cert-manager's issuers, its own.
# Source: https://cert-manager.io/docs/configuration/#cluster-resource-namespace
_ELSEWHERE = {"ClusterIssuer"}
_BUILT_IN_ROLES = ("cluster-admin", "admin", "edit", "view")


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    expected = ExpectedObjects(wiring.cluster)
    for row in _ROWS:
        for found in wiring.cluster.list(row.api_version, row.kind):
            for path, reference in each_value(found, row.path):
                if reference is not ABSENT and not _exists(wiring, expected, found, row, reference):
                    reason = f"{path} names {_describe(row, reference)}, which does not exist"
                    yield Problem(describe_object(found), reason, "correct the name, or declare the object")
    yield from _find_accounts(wiring)
    yield from _find_idle_budgets(wiring)


def _describe(row: _Row, reference: Any) -> str:
    if not isinstance(reference, Mapping):
        return f"{row.target} {reference}"
    return f"{reference.get('kind') or row.target} {reference.get('name')}"


def _exists(wiring: Wiring, expected: ExpectedObjects, found: Object, row: _Row, reference: Any) -> bool:
    named = reference if isinstance(reference, Mapping) else {"name": reference}
    kind, name = str(named.get("kind") or row.target), str(named.get("name"))
    if kind not in _VERSIONS or (kind == "ClusterRole" and name in _BUILT_IN_ROLES) or name.startswith("system:"):
        return True
    namespace = "" if kind in _OF_THE_CLUSTER else str(named.get("namespace") or found["metadata"].get("namespace", ""))
    if found["kind"] in _ELSEWHERE and kind == "Secret":
        secrets = wiring.cluster.list("v1", "Secret")
        namespaces = {each["metadata"]["namespace"] for each in wiring.cluster.list(_CERTS, "Certificate")}
        return any(each["metadata"]["name"] == name for each in secrets) or any(
            expected.includes(each, name) for each in namespaces
        )
    if kind in ("Secret", "ConfigMap") and expected.includes(namespace, name):
        return True
    if kind in ("Service", "ServiceAccount", "Role") and namespace in ("kube-system", "kube-public"):
        return True  # created by the cloud
    if kind == "ServiceAccount" and not any(pod.namespace == namespace for pod in wiring.pods):
        return True  # the namespace has no pods yet: its objects are deployed from git
    return wiring.cluster.get(_VERSIONS[kind], kind, name, namespace) is not None


def _find_accounts(wiring: Wiring) -> Iterator[Problem]:
    """Check that service accounts of pods exist: otherwise admission rejects each pod when it is created."""
    for pod in wiring.pods:
        if pod.account != "default" and wiring.find_account(pod.namespace, pod.account) is None:
            reason = f"service account {pod.namespace}/{pod.account} does not exist"
            yield Problem(pod.owner, reason, "create it, or name another one")


def _find_idle_budgets(wiring: Wiring) -> Iterator[Problem]:
    """Check that disruption budgets select pods."""
    pods = wiring.cluster.list("v1", "Pod")
    for budget in wiring.cluster.list("policy/v1", "PodDisruptionBudget"):
        namespace, selector = budget["metadata"].get("namespace", ""), budget["spec"].get("selector")
        if not any(pod["metadata"]["namespace"] == namespace and matches(selector, labels_of(pod)) for pod in pods):
            yield Problem(describe_object(budget), "it selects no pods", "correct its selector")
