"""The clouds' own workloads in a cluster: simulated pods with realistic requests, so that capacity is realistic.

AKS does not publish what its components request. The source of each figure is stated beside it, in this order of trust:

  chart      the component's own manifest or chart
  observed   `kubectl describe node` output of such clusters, as in https://github.com/Azure/AKS/issues/3525
  estimated  neither was available
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.control_plane.control_plane import SERVICE_RANGE

NAMESPACE = "kube-system"
METRICS_SERVER = "metrics-server"
WORKLOAD_IDENTITY_WEBHOOK = "azure-wi-webhook-webhook-service"
_EVERY_NODE = 0
# Labels by which network policies select the pods of a workload, in addition to `k8s-app`.
_LABELS: Mapping[str, Mapping[str, str]] = {
    "konnectivity-agent": {"app": "konnectivity-agent"},  # https://github.com/tigera/operator/pull/5212
}


@dataclass(frozen=True)
class SystemWorkload:
    """A component.

    replicas         number of pods; _EVERY_NODE for a DaemonSet
    cpu, memory      requests in milli-CPUs and MiB; 0 for none
    service_account  empty for the namespace's default
    """

    name: str
    replicas: int
    cpu: int
    memory: int
    service_account: str = ""
    namespace: str = NAMESPACE


# Keyed by the add-on that they belong to; those of "" are in every cluster.
_AZURE: Mapping[str, Sequence[SystemWorkload]] = {
    "": (
        SystemWorkload("coredns", 2, 100, 70),  # chart: https://github.com/coredns/deployment
        SystemWorkload("coredns-autoscaler", 1, 20, 10),  # chart: the same
        SystemWorkload(METRICS_SERVER, 2, 44, 51),  # observed
        SystemWorkload(
            "konnectivity-agent", 2, 20, 20
        ),  # observed; also with API server VNet integration: Azure/AKS issue 4119
        SystemWorkload("konnectivity-agent-autoscaler", 1, 20, 10),  # observed
        SystemWorkload(
            "cloud-node-manager", _EVERY_NODE, 50, 50
        ),  # chart: https://github.com/kubernetes-sigs/cloud-provider-azure
        SystemWorkload("azure-cns", _EVERY_NODE, 40, 250),  # observed
        SystemWorkload("azure-ip-masq-agent", _EVERY_NODE, 100, 50),  # observed
    ),
    # observed: https://github.com/Azure/AKS/issues/5244
    "cilium": (SystemWorkload("cilium", _EVERY_NODE, 0, 100), SystemWorkload("cilium-operator", 2, 0, 0)),
    "kube-proxy": (SystemWorkload("kube-proxy", _EVERY_NODE, 100, 0),),  # observed
    # chart: https://github.com/kubernetes-sigs/azuredisk-csi-driver, three containers; the other drivers alike
    "disk-csi": (SystemWorkload("csi-azuredisk-node", _EVERY_NODE, 30, 60),),
    "file-csi": (SystemWorkload("csi-azurefile-node", _EVERY_NODE, 30, 60),),
    "blob-csi": (SystemWorkload("csi-blob-node", _EVERY_NODE, 30, 60),),
    # chart: https://github.com/Azure/azure-workload-identity
    "workload-identity": (SystemWorkload("azure-wi-webhook-controller-manager", 2, 100, 20),),
    "image-cleaner": (SystemWorkload("eraser-controller-manager", 1, 100, 20),),  # estimated
    # estimated, from the limits in https://learn.microsoft.com/azure/defender-for-cloud/defender-for-containers-architecture
    "defender": (
        SystemWorkload("microsoft-defender-collector-ds", _EVERY_NODE, 60, 96),
        SystemWorkload("microsoft-defender-publisher-ds", _EVERY_NODE, 30, 60),
        SystemWorkload("microsoft-defender-collector-misc", 1, 60, 64),
    ),
    # chart: https://github.com/microsoft/Docker-Provider, kubernetes/ama-logs.yaml
    "omsagent": (SystemWorkload("ama-logs", _EVERY_NODE, 150, 550), SystemWorkload("ama-logs-rs", 1, 150, 250)),
    # observed
    "azurepolicy": (
        SystemWorkload("azure-policy", 1, 30, 50),
        SystemWorkload("azure-policy-webhook", 1, 30, 50),
        SystemWorkload("gatekeeper-audit", 1, 100, 256, namespace="gatekeeper-system"),
        SystemWorkload("gatekeeper-controller", 2, 100, 256, namespace="gatekeeper-system"),
    ),
}
_AWS: Mapping[str, Sequence[SystemWorkload]] = {
    "coredns": (SystemWorkload("coredns", 2, 100, 70),),  # chart
    "kube-proxy": (SystemWorkload("kube-proxy", _EVERY_NODE, 100, 0),),  # chart
    # chart: https://github.com/aws/amazon-vpc-cni-k8s, two containers
    "vpc-cni": (SystemWorkload("aws-node", _EVERY_NODE, 50, 0, "aws-node"),),
    # chart: https://github.com/kubernetes-sigs/aws-ebs-csi-driver, five containers and three
    "aws-ebs-csi-driver": (
        SystemWorkload("ebs-csi-controller", 2, 50, 200, "ebs-csi-controller-sa"),
        SystemWorkload("ebs-csi-node", _EVERY_NODE, 30, 120, "ebs-csi-node-sa"),
    ),
    "aws-efs-csi-driver": (
        SystemWorkload("efs-csi-controller", 2, 0, 0, "efs-csi-controller-sa"),  # chart
        SystemWorkload("efs-csi-node", _EVERY_NODE, 0, 0, "efs-csi-node-sa"),  # chart
    ),
    "eks-pod-identity-agent": (SystemWorkload("eks-pod-identity-agent", _EVERY_NODE, 0, 0),),  # chart
    METRICS_SERVER: (
        SystemWorkload(METRICS_SERVER, 2, 100, 200),
    ),  # chart: https://github.com/kubernetes-sigs/metrics-server
    "snapshot-controller": (SystemWorkload("snapshot-controller", 2, 10, 20),),  # estimated
    "amazon-cloudwatch-observability": (  # estimated
        SystemWorkload("cloudwatch-agent", _EVERY_NODE, 250, 128, "cloudwatch-agent", "amazon-cloudwatch"),
        SystemWorkload("fluent-bit", _EVERY_NODE, 50, 25, "cloudwatch-agent", "amazon-cloudwatch"),
    ),
}


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The workloads of this cluster, with the Services and service accounts that other objects refer to."""
    table = _AZURE if cluster.cloud == "azure" else _AWS
    workloads = [workload for addon in table if addon in {"", *cluster.addons} for workload in table[addon]]
    for namespace in sorted({workload.namespace for workload in workloads} - {NAMESPACE}):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    accounts = {(workload.namespace, workload.service_account) for workload in workloads if workload.service_account}
    for namespace, account in sorted(accounts):
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}}
    for workload in workloads:
        yield _build_workload(cluster, workload)
    names = {workload.name for workload in workloads}
    if "coredns" in names:
        yield _build_dns_service()
    if METRICS_SERVER in names:
        yield _build_https_service(METRICS_SERVER, METRICS_SERVER, 10250)
    if "workload-identity" in cluster.addons:
        yield _build_https_service(WORKLOAD_IDENTITY_WEBHOOK, "azure-wi-webhook-controller-manager", 9443)


def _build_https_service(name: str, workload: str, target_port: int) -> Object:
    ports = [{"name": "https", "port": 443, "targetPort": target_port, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"k8s-app": workload}, "ports": ports},
    }


def _build_dns_service() -> Object:
    ports = [
        {"name": name, "port": 53, "protocol": protocol} for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    address = str(ipaddress.IPv4Network(SERVICE_RANGE)[10])
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": NAMESPACE, "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": address, "selector": {"k8s-app": "kube-dns"}, "ports": ports},
    }


def _build_workload(cluster: ManagedCluster, workload: SystemWorkload) -> Object:
    # Clients find DNS by this label, independent of the server that provides it.
    labels = {"k8s-app": "kube-dns" if workload.name == "coredns" else workload.name, **_LABELS.get(workload.name, {})}
    is_daemon_set = workload.replicas == _EVERY_NODE
    template = {"metadata": {"labels": labels}, "spec": _build_pod_spec(cluster, workload)}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet" if is_daemon_set else "Deployment",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": template,
            **({} if is_daemon_set else {"replicas": workload.replicas}),
        },
    }


def _build_pod_spec(cluster: ManagedCluster, workload: SystemWorkload) -> Mapping[str, Any]:
    is_daemon = workload.replicas == _EVERY_NODE
    amounts = {"cpu": (workload.cpu, "m"), "memory": (workload.memory, "Mi")}
    container = {
        "name": workload.name,
        "image": f"simulated.invalid/{workload.name}:simulated",
        "resources": {"requests": {name: f"{amount}{unit}" for name, (amount, unit) in amounts.items() if amount}},
    }
    return {
        "priorityClassName": "system-node-critical" if is_daemon else "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}] if is_daemon else [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "containers": [container],
        **({"serviceAccountName": workload.service_account} if workload.service_account else {}),
        **({} if is_daemon or cluster.cloud == "aws" else {"affinity": _PREFER_SYSTEM_POOL}),
    }


# Source: https://learn.microsoft.com/azure/aks/use-system-pools
_PREFER_SYSTEM_POOL = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "preference": {
                    "matchExpressions": [
                        {"key": "kubernetes.azure.com/mode", "operator": "In", "values": ["system"]},
                    ]
                },
            }
        ]
    }
}
