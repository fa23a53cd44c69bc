"""The clouds' own services in a cluster: system workloads, the metrics API, and webhooks that inject identities.

Proves on a real API server that they exist if and only if the stack has them. Does not prove that a cloud would accept
a token: none is requested from a cloud.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rehearsal.kubernetes.client import ApiError, Object
from rehearsal.kubernetes.cloud_controller.controller import CloudController
from rehearsal.kubernetes.cloud_controller.identity import find_workloads_without_identity
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.state_store import StateStore
from tests.support.cloud_objects import SIMULATED_SELECTOR, list_running_pods, nodes_by_name, pod_manifest
from tests.support.cluster_states import (
    TENANT,
    agent_pool,
    put_addons,
    put_aks,
    put_association,
    put_eks,
    put_node_group,
)
from tests.support.waiting import TIMEOUT, eventually

CLIENT = "azure.workload.identity/client-id"
USE = "azure.workload.identity/use"


def service_account_manifest(namespace: str, name: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def environment_variables(found: Object) -> Mapping[str, str]:
    return {one["name"]: one["value"] for one in found["spec"]["containers"][0].get("env", ())}


def test_system_workloads_run_on_the_system_pool(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_aks(state, agent_pool("system", mode="System", nodeTaints=["CriticalAddonsOnly=true:NoSchedule"]), agent_pool())
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: len(list_running_pods(plane.api, "k8s-app=kube-dns")) == 2)
    pools = {
        nodes_by_name(plane.api)[one["spec"]["nodeName"]]["metadata"]["labels"]["agentpool"]
        for one in list_running_pods(plane.api, "k8s-app=kube-dns")
    }
    assert pools == {"system"}
    service = plane.api.get("v1", "Service", "kube-dns", "kube-system")
    assert service is not None
    assert service["spec"]["clusterIP"] == "10.96.0.10"


def test_eks_runs_only_its_add_ons(plane: ControlPlane, state: StateStore, cloud: CloudController) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni", "kube-proxy")
    cloud.wait_until_converged(TIMEOUT)
    names = {
        one["metadata"]["name"] for one in plane.api.list("apps/v1", "DaemonSet", label_selector=SIMULATED_SELECTOR)
    }
    assert names == {"aws-node", "kube-proxy"}
    assert plane.api.get("v1", "Service", "kube-dns", "kube-system") is None
    assert plane.api.get("apps/v1", "Deployment", "coredns", "kube-system") is None


def test_pods_use_half_of_their_requests_in_the_metrics_api(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(pod_manifest(namespace, "works", requests={"cpu": "100m", "memory": "64Mi"}))

    def usage() -> Any:
        try:
            found = plane.api.request("GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/works")
        except ApiError:
            return None
        return found["containers"]

    assert eventually(usage) == [{"name": "main", "usage": {"cpu": "50m", "memory": "32768Ki"}}]
    per_node = plane.api.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes")["items"]
    assert {one["metadata"]["name"] for one in per_node} >= nodes_by_name(plane.api).keys()


def test_eks_has_the_metrics_api_only_with_its_add_on(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni")
    cloud.wait_until_converged(TIMEOUT)
    assert plane.api.get("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io") is None
    put_addons(state, "metrics-server")
    cloud.wait_until_converged(TIMEOUT)

    def is_served() -> bool:
        try:
            return bool(plane.api.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes")["items"])
        except ApiError:
            return False

    eventually(is_served)


def test_aks_injects_an_identity_into_labelled_pods_only(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state, securityProfile={"workloadIdentity": {"enabled": True}})
    plane.api.create(service_account_manifest(namespace, "mlflow", **{CLIENT: "client-1"}))
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: len(list_running_pods(plane.api, "k8s-app=azure-wi-webhook-controller-manager")) == 2)
    labelled = pod_manifest(namespace, "labelled", serviceAccountName="mlflow")
    labelled["metadata"]["labels"] = {USE: "true"}

    def created() -> Any:
        try:
            return plane.api.create(labelled)
        except ApiError:  # until the webhook has endpoints
            return None

    found = eventually(created)
    assert environment_variables(found) == {
        "AZURE_CLIENT_ID": "client-1",
        "AZURE_TENANT_ID": TENANT,
        "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    token = next(one for one in found["spec"]["volumes"] if one["name"] == "azure-identity-token")
    assert token["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "api://AzureADTokenExchange"
    unlabelled = plane.api.create(pod_manifest(namespace, "forgot", serviceAccountName="mlflow"))
    assert environment_variables(unlabelled) == {}
    without_identity = [one for one in find_workloads_without_identity(plane.api) if one.namespace == namespace]
    assert [(one.kind, one.name) for one in without_identity] == [("Pod", "forgot")]
    assert 'azure.workload.identity/use: "true"' in without_identity[0].message


def test_aks_injects_no_identity_without_workload_identity(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(service_account_manifest(namespace, "mlflow", **{CLIENT: "client-1"}))
    labelled = pod_manifest(namespace, "labelled", serviceAccountName="mlflow")
    labelled["metadata"]["labels"] = {USE: "true"}
    assert environment_variables(plane.api.create(labelled)) == {}


def test_eks_injects_the_associated_identity(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_eks(state)
    put_addons(state, "eks-pod-identity-agent")
    put_association(state, namespace, "mlflow")
    role = "arn:aws:iam::123456789012:role/old"
    plane.api.create(service_account_manifest(namespace, "mlflow"))
    plane.api.create(service_account_manifest(namespace, "older", **{"eks.amazonaws.com/role-arn": role}))
    plane.api.create(service_account_manifest(namespace, "nobody"))
    cloud.wait_until_converged(TIMEOUT)
    pods: dict[str, Object] = {}

    def has_identity() -> bool:
        pods["mlflow"] = plane.api.create(
            pod_manifest(namespace, f"p-{time.monotonic_ns()}", serviceAccountName="mlflow")
        )
        return bool(environment_variables(pods["mlflow"]))

    eventually(has_identity)
    for name in ("older", "nobody"):
        pods[name] = plane.api.create(pod_manifest(namespace, name, serviceAccountName=name))
    token = next(one for one in pods["mlflow"]["spec"]["volumes"] if one["name"] == "eks-pod-identity-token")
    assert token["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "pods.eks.amazonaws.com"
    assert (
        environment_variables(pods["mlflow"])["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        == "http://169.254.170.23/v1/credentials"
    )
    assert environment_variables(pods["older"])["AWS_ROLE_ARN"] == role
    assert environment_variables(pods["nobody"]) == {}
