"""The webhooks that inject cloud identities into pods, as the real webhooks do.

Sources: https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html,
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html and
https://github.com/aws/amazon-eks-pod-identity-webhook
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.cloud_controller.system_workloads import NAMESPACE, WORKLOAD_IDENTITY_WEBHOOK
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy

_USE_LABEL = "azure.workload.identity/use"
_CLIENT_ID, _TENANT_ID = "azure.workload.identity/client-id", "azure.workload.identity/tenant-id"
_ROLE_ARN = "eks.amazonaws.com/role-arn"
# EKS runs this webhook outside of the cluster; here it needs a Service as its address.
_EKS_WEBHOOK = "pod-identity-webhook"
_POD_IDENTITY_AGENT = "http://169.254.170.23/v1/credentials"

_WORKLOAD_KINDS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "Pod"),
)


@dataclass(frozen=True)
class WorkloadWithoutIdentity:
    """A workload whose service account has an Azure identity, for which its pods get no token."""

    kind: str
    namespace: str
    name: str
    service_account: str

    @property
    def message(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}: its service account '{self.service_account}' has an Azure "
            f'identity, but its pods get no token for it. Remedy: Label the pod template `{_USE_LABEL}: "true"`'
        )


def find_workloads_without_identity(api: ApiClient) -> list[WorkloadWithoutIdentity]:
    """The workloads whose service account is annotated with a client ID while their pods lack the label."""
    annotated = {
        (account["metadata"]["namespace"], account["metadata"]["name"])
        for account in api.list("v1", "ServiceAccount")
        if _CLIENT_ID in account["metadata"].get("annotations", {})
    }
    found = []
    for api_version, kind in _WORKLOAD_KINDS if annotated else ():
        for workload in api.list(api_version, kind):
            metadata, template = workload["metadata"], _pod_template(workload)
            account = template["spec"].get("serviceAccountName", "default")
            is_labelled = template.get("metadata", {}).get("labels", {}).get(_USE_LABEL) == "true"
            is_owned = bool(metadata.get("ownerReferences"))
            if (metadata["namespace"], account) in annotated and not is_labelled and not is_owned:
                found.append(WorkloadWithoutIdentity(kind, metadata["namespace"], metadata["name"], account))
    return found


def _pod_template(workload: Object) -> Object:
    if workload["kind"] == "Pod":
        return workload
    spec = workload["spec"]
    template: Object = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return template


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The webhook configurations of this cluster."""
    if cluster.cloud == "azure" and "workload-identity" in cluster.addons:
        yield _build_webhook_configuration(
            "azure-wi-webhook-mutating-webhook-configuration",
            "mutation.azure-workload-identity.io",
            {"name": WORKLOAD_IDENTITY_WEBHOOK, "namespace": NAMESPACE, "path": "/mutate-v1-pod"},
            {"matchLabels": {_USE_LABEL: "true"}},
            "Fail",
        )
    if cluster.cloud == "aws":
        ports = [{"name": "https", "port": 443, "protocol": "TCP"}]
        metadata = {"name": _EKS_WEBHOOK, "namespace": NAMESPACE}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}
        yield _build_webhook_configuration(
            _EKS_WEBHOOK,
            "iam-for-pods.amazonaws.com",
            {**metadata, "path": "/mutate"},
            {"matchExpressions": [{"key": "eks.amazonaws.com/skip-pod-identity-webhook", "operator": "DoesNotExist"}]},
            "Ignore",
        )


def _build_webhook_configuration(
    name: str, webhook: str, service: Mapping[str, str], object_selector: Mapping[str, Any], failure_policy: str
) -> Object:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": webhook,
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": service},
                "failurePolicy": failure_policy,
                "objectSelector": object_selector,
                "reinvocationPolicy": "IfNeeded",
                "rules": [rule],
                "sideEffects": "None",
            }
        ],
    }


def register_webhooks(egress: EgressProxy, api: ApiClient, find_cluster: Callable[[], ManagedCluster | None]) -> None:
    """Handle the requests to both webhooks; `find_cluster` is called for each pod."""

    def handle(method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ARG001 a handler's signature
        request, cluster = body["request"], find_cluster()
        mutated = None
        if cluster:
            name = request["object"]["spec"].get("serviceAccountName") or "default"
            account = api.get("v1", "ServiceAccount", name, request["namespace"])
            mutated = inject_identity(request["object"], account or {"metadata": {}}, cluster)
        return 200, {**body, "response": _admission_response(request["uid"], mutated)}

    egress.register(NAMESPACE, WORKLOAD_IDENTITY_WEBHOOK, handle)
    egress.register(NAMESPACE, _EKS_WEBHOOK, handle)


def inject_identity(pod: Object, account: Object, cluster: ManagedCluster) -> Object | None:
    """The pod with its service account's identity, as the cluster's webhook injects it; None if there is none."""
    if cluster.cloud == "aws":
        return _inject_aws_identity(pod, account, cluster)
    is_selected = pod["metadata"].get("labels", {}).get(_USE_LABEL) == "true"
    return _inject_azure_identity(pod, account, cluster) if is_selected else None


def _admission_response(uid: str, mutated: Object | None) -> Mapping[str, Any]:
    if mutated is None:
        return {"uid": uid, "allowed": True}
    patch = [{"op": "replace", "path": "/spec", "value": mutated["spec"]}]
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"uid": uid, "allowed": True, "patchType": "JSONPatch", "patch": encoded}


def _inject_azure_identity(pod: Object, account: Object, cluster: ManagedCluster) -> Object:
    annotations = account["metadata"].get("annotations", {})
    folder, file = "/var/run/secrets/azure/tokens", "azure-identity-token"
    environment = {
        "AZURE_CLIENT_ID": annotations.get(_CLIENT_ID, ""),
        "AZURE_TENANT_ID": annotations.get(_TENANT_ID, cluster.tenant),
        "AZURE_FEDERATED_TOKEN_FILE": f"{folder}/{file}",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    token = _TokenVolume("azure-identity-token", folder, file, "api://AzureADTokenExchange", 3600)
    return _inject_token(pod, environment, token)


def _inject_aws_identity(pod: Object, account: Object, cluster: ManagedCluster) -> Object | None:
    """A Pod Identity association, which needs the agent on the node, takes precedence over an annotated role."""
    metadata = account["metadata"]
    region = {
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_DEFAULT_REGION": cluster.region,
        "AWS_REGION": cluster.region,
    }
    is_associated = (metadata.get("namespace", ""), metadata.get("name", "")) in cluster.pod_identity_associations
    if is_associated and "eks-pod-identity-agent" in cluster.addons:
        folder, file = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount", "eks-pod-identity-token"
        environment = {
            **region,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": _POD_IDENTITY_AGENT,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{folder}/{file}",
        }
        return _inject_token(pod, environment, _TokenVolume(file, folder, file, "pods.eks.amazonaws.com", 86400))
    role = metadata.get("annotations", {}).get(_ROLE_ARN)
    if role is None:
        return None
    folder = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    environment = {**region, "AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": f"{folder}/token"}
    return _inject_token(pod, environment, _TokenVolume("aws-iam-token", folder, "token", "sts.amazonaws.com", 86400))


@dataclass(frozen=True)
class _TokenVolume:
    """A projected volume with a service account token; `lifetime` in seconds."""

    name: str
    folder: str
    file: str
    audience: str
    lifetime: int

    @property
    def manifest(self) -> Mapping[str, Any]:
        token = {"audience": self.audience, "expirationSeconds": self.lifetime, "path": self.file}
        return {"name": self.name, "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": token}]}}

    @property
    def mount(self) -> Mapping[str, Any]:
        return {"name": self.name, "mountPath": self.folder, "readOnly": True}


def _inject_token(pod: Object, environment: Mapping[str, str], token: _TokenVolume) -> Object:
    """The pod with the token mounted, and the variables set in every container that does not set them itself."""
    spec = dict(pod["spec"])
    for field in ("initContainers", "containers"):
        if field in spec:
            spec[field] = [_inject_into_container(container, environment, token) for container in spec[field]]
    spec["volumes"] = [*_without(spec.get("volumes", ()), token.name), token.manifest]
    return {**pod, "spec": spec}


def _inject_into_container(container: Object, environment: Mapping[str, str], token: _TokenVolume) -> Object:
    variables = container.get("env") or []
    existing = {variable["name"] for variable in variables}
    added = [{"name": name, "value": value} for name, value in environment.items() if value and name not in existing]
    mounts = [*_without(container.get("volumeMounts", ()), token.name), token.mount]
    return {**container, "env": [*variables, *added], "volumeMounts": mounts}


def _without(items: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [item for item in items if item["name"] != name]
