"""What the clouds run in a cluster: system workloads, the metrics API, and the webhooks that hand out identities.

Proves on a real API server that they are there when the stack has them, and missed when it has not. Does not prove that
a token would be taken: nothing here asks the clouds for one.
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
from tests.support.cloud_objects import SIMULATED, nodes, pod, running
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


def account(namespace: str, name: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def environment(found: Object) -> Mapping[str, str]:
    return {one["name"]: one["value"] for one in found["spec"]["containers"][0].get("env", ())}


def test_system_workloads_run_where_they_belong(plane: ControlPlane, state: StateStore, cloud: CloudController) -> None:
    put_aks(state, agent_pool("system", mode="System", nodeTaints=["CriticalAddonsOnly=true:NoSchedule"]), agent_pool())
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: len(running(plane.api, "k8s-app=kube-dns")) == 2)
    pools = {
        nodes(plane.api)[one["spec"]["nodeName"]]["metadata"]["labels"]["agentpool"]
        for one in running(plane.api, "k8s-app=kube-dns")
    }
    assert pools == {"system"}
    service = plane.api.get("v1", "Service", "kube-dns", "kube-system")
    assert service is not None
    assert service["spec"]["clusterIP"] == "10.96.0.10"


def test_eks_runs_only_what_is_an_add_on(plane: ControlPlane, state: StateStore, cloud: CloudController) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni", "kube-proxy")
    cloud.wait_until_converged(TIMEOUT)
    names = {one["metadata"]["name"] for one in plane.api.list("apps/v1", "DaemonSet", label_selector=SIMULATED)}
    assert names == {"aws-node", "kube-proxy"}
    assert plane.api.get("v1", "Service", "kube-dns", "kube-system") is None
    assert plane.api.get("apps/v1", "Deployment", "coredns", "kube-system") is None


def test_metrics_are_half_of_what_is_asked_for(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(pod(namespace, "works", requests={"cpu": "100m", "memory": "64Mi"}))

    def usage() -> Any:
        try:
            found = plane.api.request("GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/works")
        except ApiError:
            return None
        return found["containers"]

    assert eventually(usage) == [{"name": "main", "usage": {"cpu": "50m", "memory": "32768Ki"}}]
    per_node = plane.api.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes")["items"]
    assert {one["metadata"]["name"] for one in per_node} >= nodes(plane.api).keys()


def test_eks_has_metrics_only_with_the_add_on(plane: ControlPlane, state: StateStore, cloud: CloudController) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni")
    cloud.wait_until_converged(TIMEOUT)
    assert plane.api.get("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io") is None
    put_addons(state, "metrics-server")
    cloud.wait_until_converged(TIMEOUT)

    def served() -> bool:
        try:
            return bool(plane.api.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes")["items"])
        except ApiError:
            return False

    eventually(served)


def test_a_labelled_pod_of_aks_gets_its_identity_and_one_without_the_label_none(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state, securityProfile={"workloadIdentity": {"enabled": True}})
    plane.api.create(account(namespace, "mlflow", **{CLIENT: "client-1"}))
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: len(running(plane.api, "k8s-app=azure-wi-webhook-controller-manager")) == 2)
    labelled = pod(namespace, "labelled", serviceAccountName="mlflow")
    labelled["metadata"]["labels"] = {USE: "true"}

    def created() -> Any:
        try:
            return plane.api.create(labelled)
        except ApiError:  # until the webhook's endpoints are known
            return None

    found = eventually(created)
    assert environment(found) == {
        "AZURE_CLIENT_ID": "client-1",
        "AZURE_TENANT_ID": TENANT,
        "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    token = next(one for one in found["spec"]["volumes"] if one["name"] == "azure-identity-token")
    assert token["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "api://AzureADTokenExchange"
    forgot = plane.api.create(pod(namespace, "forgot", serviceAccountName="mlflow"))
    assert environment(forgot) == {}
    mine = [one for one in find_workloads_without_identity(plane.api) if one.namespace == namespace]
    assert [(one.kind, one.name) for one in mine] == [("Pod", "forgot")]
    assert 'azure.workload.identity/use: "true"' in mine[0].message


def test_a_labelled_pod_of_aks_without_workload_identity_gets_nothing(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(account(namespace, "mlflow", **{CLIENT: "client-1"}))
    labelled = pod(namespace, "labelled", serviceAccountName="mlflow")
    labelled["metadata"]["labels"] = {USE: "true"}
    assert environment(plane.api.create(labelled)) == {}


def test_a_pod_of_eks_gets_the_identity_that_is_associated_with_it(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_eks(state)
    put_addons(state, "eks-pod-identity-agent")
    put_association(state, namespace, "mlflow")
    role = "arn:aws:iam::123456789012:role/old"
    plane.api.create(account(namespace, "mlflow"))
    plane.api.create(account(namespace, "older", **{"eks.amazonaws.com/role-arn": role}))
    plane.api.create(account(namespace, "nobody"))
    cloud.wait_until_converged(TIMEOUT)
    made: dict[str, Object] = {}

    def known() -> bool:
        made["mlflow"] = plane.api.create(pod(namespace, f"p-{time.monotonic_ns()}", serviceAccountName="mlflow"))
        return bool(environment(made["mlflow"]))

    eventually(known)
    for name in ("older", "nobody"):
        made[name] = plane.api.create(pod(namespace, name, serviceAccountName=name))
    token = next(one for one in made["mlflow"]["spec"]["volumes"] if one["name"] == "eks-pod-identity-token")
    assert token["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "pods.eks.amazonaws.com"
    assert environment(made["mlflow"])["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.23/v1/credentials"
    assert environment(made["older"])["AWS_ROLE_ARN"] == role
    assert environment(made["nobody"]) == {}
