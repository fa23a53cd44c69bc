"""What the clouds run in a cluster themselves: simulated pods, with real requests, so that capacity is honest.

AKS does not publish what its components ask for. Where a number comes from is said beside it, in this order of trust:

  chart      the component's own manifest or chart
  seen       people's `kubectl describe node` of such clusters, as in https://github.com/Azure/AKS/issues/3525
  estimated  neither was to be had
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
_EACH_NODE = 0


@dataclass(frozen=True)
class Workload:
    """A component: `replicas` pods, or one on each node; cpu in milli-CPUs, memory in MiB, 0 where it asks for none."""

    name: str
    replicas: int
    cpu: int
    memory: int
    account: str = ""
    namespace: str = NAMESPACE


# By the service that brings them; "" is in every cluster.
_AZURE: Mapping[str, Sequence[Workload]] = {
    "": (
        Workload("coredns", 2, 100, 70),  # chart: https://github.com/coredns/deployment
        Workload("coredns-autoscaler", 1, 20, 10),  # chart: the same
        Workload(METRICS_SERVER, 2, 44, 51),  # seen
        Workload("konnectivity-agent", 2, 20, 20),  # seen; also with API server VNet integration: Azure/AKS issue 4119
        Workload("konnectivity-agent-autoscaler", 1, 20, 10),  # seen
        Workload(
            "cloud-node-manager", _EACH_NODE, 50, 50
        ),  # chart: https://github.com/kubernetes-sigs/cloud-provider-azure
        Workload("azure-cns", _EACH_NODE, 40, 250),  # seen
        Workload("azure-ip-masq-agent", _EACH_NODE, 100, 50),  # seen
    ),
    # seen: https://github.com/Azure/AKS/issues/5244
    "cilium": (Workload("cilium", _EACH_NODE, 0, 100), Workload("cilium-operator", 2, 0, 0)),
    "kube-proxy": (Workload("kube-proxy", _EACH_NODE, 100, 0),),  # seen
    # chart: https://github.com/kubernetes-sigs/azuredisk-csi-driver, three containers; the other drivers alike
    "disk-csi": (Workload("csi-azuredisk-node", _EACH_NODE, 30, 60),),
    "file-csi": (Workload("csi-azurefile-node", _EACH_NODE, 30, 60),),
    "blob-csi": (Workload("csi-blob-node", _EACH_NODE, 30, 60),),
    # chart: https://github.com/Azure/azure-workload-identity
    "workload-identity": (Workload("azure-wi-webhook-controller-manager", 2, 100, 20),),
    "image-cleaner": (Workload("eraser-controller-manager", 1, 100, 20),),  # estimated
    # estimated, from the limits in https://learn.microsoft.com/azure/defender-for-cloud/defender-for-containers-architecture
    "defender": (
        Workload("microsoft-defender-collector-ds", _EACH_NODE, 60, 96),
        Workload("microsoft-defender-publisher-ds", _EACH_NODE, 30, 60),
        Workload("microsoft-defender-collector-misc", 1, 60, 64),
    ),
    # chart: https://github.com/microsoft/Docker-Provider, kubernetes/ama-logs.yaml
    "omsagent": (Workload("ama-logs", _EACH_NODE, 150, 550), Workload("ama-logs-rs", 1, 150, 250)),
    # seen
    "azurepolicy": (
        Workload("azure-policy", 1, 30, 50),
        Workload("azure-policy-webhook", 1, 30, 50),
        Workload("gatekeeper-audit", 1, 100, 256, namespace="gatekeeper-system"),
        Workload("gatekeeper-controller", 2, 100, 256, namespace="gatekeeper-system"),
    ),
}
_AWS: Mapping[str, Sequence[Workload]] = {
    "coredns": (Workload("coredns", 2, 100, 70),),  # chart
    "kube-proxy": (Workload("kube-proxy", _EACH_NODE, 100, 0),),  # chart
    # chart: https://github.com/aws/amazon-vpc-cni-k8s, two containers
    "vpc-cni": (Workload("aws-node", _EACH_NODE, 50, 0, "aws-node"),),
    # chart: https://github.com/kubernetes-sigs/aws-ebs-csi-driver, five containers and three
    "aws-ebs-csi-driver": (
        Workload("ebs-csi-controller", 2, 50, 200, "ebs-csi-controller-sa"),
        Workload("ebs-csi-node", _EACH_NODE, 30, 120, "ebs-csi-node-sa"),
    ),
    "aws-efs-csi-driver": (
        Workload("efs-csi-controller", 2, 0, 0, "efs-csi-controller-sa"),  # chart
        Workload("efs-csi-node", _EACH_NODE, 0, 0, "efs-csi-node-sa"),  # chart
    ),
    "eks-pod-identity-agent": (Workload("eks-pod-identity-agent", _EACH_NODE, 0, 0),),  # chart
    METRICS_SERVER: (
        Workload(METRICS_SERVER, 2, 100, 200),
    ),  # chart: https://github.com/kubernetes-sigs/metrics-server
    "snapshot-controller": (Workload("snapshot-controller", 2, 10, 20),),  # estimated
    "amazon-cloudwatch-observability": (  # estimated
        Workload("cloudwatch-agent", _EACH_NODE, 250, 128, "cloudwatch-agent", "amazon-cloudwatch"),
        Workload("fluent-bit", _EACH_NODE, 50, 25, "cloudwatch-agent", "amazon-cloudwatch"),
    ),
}


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The components this cluster has, with the services and service accounts that others know them by."""
    table = _AZURE if cluster.cloud == "azure" else _AWS
    workloads = [one for service in table if service in {"", *cluster.addons} for one in table[service]]
    for namespace in sorted({one.namespace for one in workloads} - {NAMESPACE}):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for namespace, account in sorted({(one.namespace, one.account) for one in workloads if one.account}):
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}}
    for one in workloads:
        yield _controller(cluster, one)
    names = {one.name for one in workloads}
    if "coredns" in names:
        yield _dns()
    if METRICS_SERVER in names:
        yield service(METRICS_SERVER, METRICS_SERVER, 10250)
    if "workload-identity" in cluster.addons:
        yield service(WORKLOAD_IDENTITY_WEBHOOK, "azure-wi-webhook-controller-manager", 9443)


def service(name: str, workload: str, port: int) -> Object:
    """A service on HTTPS in front of a component."""
    ports = [{"name": "https", "port": 443, "targetPort": port, "protocol": "TCP"}]
    metadata = {"name": name, "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"k8s-app": workload}, "ports": ports},
    }


def _dns() -> Object:
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


def _controller(cluster: ManagedCluster, workload: Workload) -> Object:
    # Under this name everybody looks for DNS, whatever answers.
    labels = {"k8s-app": "kube-dns" if workload.name == "coredns" else workload.name}
    each = workload.replicas == _EACH_NODE
    template = {"metadata": {"labels": labels}, "spec": _pod(cluster, workload)}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet" if each else "Deployment",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": template,
            **({} if each else {"replicas": workload.replicas}),
        },
    }


def _pod(cluster: ManagedCluster, workload: Workload) -> Mapping[str, Any]:
    each = workload.replicas == _EACH_NODE
    asked = {"cpu": f"{workload.cpu}m", "memory": f"{workload.memory}Mi"}
    requests = {key: value for key, value in asked.items() if not value.startswith("0")}
    container = {
        "name": workload.name,
        "image": f"simulated.invalid/{workload.name}:simulated",
        "resources": {"requests": requests},
    }
    return {
        "priorityClassName": "system-node-critical" if each else "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}] if each else [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "containers": [container],
        **({"serviceAccountName": workload.account} if workload.account else {}),
        **({} if each or cluster.cloud == "aws" else {"affinity": _SYSTEM_FIRST}),
    }


# Source: https://learn.microsoft.com/azure/aks/use-system-pools
_SYSTEM_FIRST = {
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
