"""The webhooks that hand pods their cloud identity; what they put into pods is what the real ones put in.

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

_USE = "azure.workload.identity/use"
_CLIENT, _TENANT = "azure.workload.identity/client-id", "azure.workload.identity/tenant-id"
_ROLE = "eks.amazonaws.com/role-arn"
# EKS runs this one outside of the cluster; here it needs a service to be reached at.
_EKS_WEBHOOK = "pod-identity-webhook"
_AGENT = "http://169.254.170.23/v1/credentials"


@dataclass(frozen=True)
class WorkloadWithoutIdentity:
    """A workload whose service account has an Azure identity that its pods do not ask for."""

    kind: str
    namespace: str
    name: str
    service_account: str

    @property
    def message(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}: its service account '{self.service_account}' has an identity "
            f'of Azure, but its pods get no token of it; label the pod template `{_USE}: "true"`'
        )


def find_workloads_without_identity(api: ApiClient) -> list[WorkloadWithoutIdentity]:
    """The workloads that would get no token: their service account is annotated, their pods lack the label."""
    annotated = {
        (account["metadata"]["namespace"], account["metadata"]["name"])
        for account in api.list("v1", "ServiceAccount")
        if _CLIENT in account["metadata"].get("annotations", {})
    }
    found = []
    for api_version, kind in _WORKLOADS if annotated else ():
        for workload in api.list(api_version, kind):
            metadata, template = workload["metadata"], _template(workload)
            account = template["spec"].get("serviceAccountName", "default")
            labelled = template.get("metadata", {}).get("labels", {}).get(_USE) == "true"
            owned = bool(metadata.get("ownerReferences"))
            if (metadata["namespace"], account) in annotated and not labelled and not owned:
                found.append(WorkloadWithoutIdentity(kind, metadata["namespace"], metadata["name"], account))
    return found


_WORKLOADS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "Pod"),
)


def _template(workload: Object) -> Object:
    if workload["kind"] == "Pod":
        return workload
    spec = workload["spec"]
    template: Object = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return template


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The webhook configurations that this cluster has."""
    if cluster.cloud == "azure" and "workload-identity" in cluster.addons:
        yield _configuration(
            "azure-wi-webhook-mutating-webhook-configuration",
            "mutation.azure-workload-identity.io",
            {"name": WORKLOAD_IDENTITY_WEBHOOK, "namespace": NAMESPACE, "path": "/mutate-v1-pod"},
            {"matchLabels": {_USE: "true"}},
            "Fail",
        )
    if cluster.cloud == "aws":
        ports = [{"name": "https", "port": 443, "protocol": "TCP"}]
        named = {"name": _EKS_WEBHOOK, "namespace": NAMESPACE}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": ports}}
        yield _configuration(
            _EKS_WEBHOOK,
            "iam-for-pods.amazonaws.com",
            {**named, "path": "/mutate"},
            {"matchExpressions": [{"key": "eks.amazonaws.com/skip-pod-identity-webhook", "operator": "DoesNotExist"}]},
            "Ignore",
        )


def _configuration(
    name: str, webhook: str, service: Mapping[str, str], selector: Mapping[str, Any], policy: str
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
                "failurePolicy": policy,
                "objectSelector": selector,
                "reinvocationPolicy": "IfNeeded",
                "rules": [rule],
                "sideEffects": "None",
            }
        ],
    }


def register_webhooks(egress: EgressProxy, api: ApiClient, cluster: Callable[[], ManagedCluster | None]) -> None:
    """Stand in for both webhooks; `cluster` is asked at every pod."""

    def review(
        change: Callable[[Object, Object, ManagedCluster], Object | None],
    ) -> Callable[[str, str, Any], tuple[int, Any]]:
        def reply(method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ARG001 a handler's signature
            request, there = body["request"], cluster()
            changed = None
            if there:
                name = request["object"]["spec"].get("serviceAccountName") or "default"
                account = api.get("v1", "ServiceAccount", name, request["namespace"])
                changed = change(request["object"], account or {"metadata": {}}, there)
            return 200, {**body, "response": _response(request["uid"], changed)}

        return reply

    egress.register(NAMESPACE, WORKLOAD_IDENTITY_WEBHOOK, review(_azure))
    egress.register(NAMESPACE, _EKS_WEBHOOK, review(_aws))


def _response(uid: str, changed: Object | None) -> Mapping[str, Any]:
    if changed is None:
        return {"uid": uid, "allowed": True}
    patch = [{"op": "replace", "path": "/spec", "value": changed["spec"]}]
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"uid": uid, "allowed": True, "patchType": "JSONPatch", "patch": encoded}


def _azure(pod: Object, account: Object, cluster: ManagedCluster) -> Object:
    annotations = account["metadata"].get("annotations", {})
    folder, file = "/var/run/secrets/azure/tokens", "azure-identity-token"
    environment = {
        "AZURE_CLIENT_ID": annotations.get(_CLIENT, ""),
        "AZURE_TENANT_ID": annotations.get(_TENANT, cluster.tenant),
        "AZURE_FEDERATED_TOKEN_FILE": f"{folder}/{file}",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    return _with_token(
        pod, environment, _Token("azure-identity-token", folder, file, "api://AzureADTokenExchange", 3600)
    )


def _aws(pod: Object, account: Object, cluster: ManagedCluster) -> Object | None:
    """Pod Identity, which takes its agent on the node, goes before a role in the service account's annotation."""
    metadata = account["metadata"]
    region = {
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_DEFAULT_REGION": cluster.region,
        "AWS_REGION": cluster.region,
    }
    associated = (metadata.get("namespace", ""), metadata.get("name", "")) in cluster.pod_identity_associations
    if associated and "eks-pod-identity-agent" in cluster.addons:
        folder, file = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount", "eks-pod-identity-token"
        environment = {
            **region,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": _AGENT,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{folder}/{file}",
        }
        return _with_token(pod, environment, _Token(file, folder, file, "pods.eks.amazonaws.com", 86400))
    role = metadata.get("annotations", {}).get(_ROLE)
    if role is None:
        return None
    folder = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    environment = {**region, "AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": f"{folder}/token"}
    return _with_token(pod, environment, _Token("aws-iam-token", folder, "token", "sts.amazonaws.com", 86400))


@dataclass(frozen=True)
class _Token:
    """A service account's token as a volume; `lifetime` in seconds."""

    volume: str
    folder: str
    file: str
    audience: str
    lifetime: int

    @property
    def manifest(self) -> Mapping[str, Any]:
        token = {"audience": self.audience, "expirationSeconds": self.lifetime, "path": self.file}
        return {"name": self.volume, "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": token}]}}

    @property
    def mount(self) -> Mapping[str, Any]:
        return {"name": self.volume, "mountPath": self.folder, "readOnly": True}


def _with_token(pod: Object, environment: Mapping[str, str], token: _Token) -> Object:
    """The pod with the token in it, and with the variables in every container that does not set them itself."""
    spec = dict(pod["spec"])
    for key in ("initContainers", "containers"):
        if key in spec:
            spec[key] = [_container(one, environment, token) for one in spec[key]]
    spec["volumes"] = [*_others(spec.get("volumes", ()), token), token.manifest]
    return {**pod, "spec": spec}


def _container(container: Object, environment: Mapping[str, str], token: _Token) -> Object:
    own = container.get("env") or []
    named = {one["name"] for one in own}
    added = [{"name": name, "value": value} for name, value in environment.items() if value and name not in named]
    mounts = [*_others(container.get("volumeMounts", ()), token), token.mount]
    return {**container, "env": [*own, *added], "volumeMounts": mounts}


def _others(items: Sequence[Mapping[str, Any]], token: _Token) -> list[Mapping[str, Any]]:
    return [one for one in items if one["name"] != token.volume]
