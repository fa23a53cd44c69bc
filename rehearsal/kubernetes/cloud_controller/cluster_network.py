"""The engine that enforces network policies in the managed cluster, and the addresses of its API server."""

from __future__ import annotations

import ipaddress

from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.readiness.network_flows import ClusterNetwork
from rehearsal.kubernetes.readiness.network_policies import Engine

# Their calls come from a pod, even if the API server is in the network.
# Source: https://github.com/tigera/operator/pull/5212, https://github.com/Azure/AKS/issues/4119
_TUNNEL = {"app": "konnectivity-agent"}


def describe_network(cluster: ManagedCluster) -> ClusterNetwork | None:
    """The cluster's network; None if nothing enforces network policies, or the engine that does is not known."""
    if "cilium" in cluster.addons:
        return ClusterNetwork(Engine.CILIUM, tunnel=_TUNNEL)
    configuration = cluster.addon_configuration.get("vpc-cni", {})
    if "vpc-cni" not in cluster.addons or str(configuration.get("enableNetworkPolicy")).lower() != "true":
        return None
    # The agent sees a Service's address before kube-proxy translates it.
    # Source: https://github.com/aws/amazon-network-policy-controller-k8s/pull/210
    service = next(ipaddress.IPv4Network(cluster.service_range).hosts(), None) if cluster.service_range else None
    return ClusterNetwork(
        Engine.VPC_CNI, api_clients=cluster.api_subnets, api_servers=(f"{service}/32",) if service else ()
    )
