"""The engine that enforces network policies in a managed cluster, read from the simulated clouds' state."""

from __future__ import annotations

import dataclasses

from rehearsal.kubernetes.cloud_controller.cluster_network import describe_network
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.readiness.network_policies import Engine

CLUSTER = ManagedCluster("aws", "acme", "eu-west-1", "1", (), frozenset({"vpc-cni"}), service_range="172.20.0.0/16")


def test_cilium_is_aks_data_plane() -> None:
    network = describe_network(ManagedCluster("azure", "acme", "westeurope", "rg", (), frozenset({"cilium"})))
    assert network is not None
    assert network.engine is Engine.CILIUM
    assert network.tunnel


def test_the_vpc_cni_enforces_policies_if_it_is_configured_to() -> None:
    configuration = {"vpc-cni": {"enableNetworkPolicy": "true"}}
    network = describe_network(
        dataclasses.replace(CLUSTER, addon_configuration=configuration, api_subnets=("10.0.0.0/20",))
    )
    assert network is not None
    assert network.engine is Engine.VPC_CNI
    assert network.api_servers == ("172.20.0.1/32",)
    assert network.api_clients == ("10.0.0.0/20",)


def test_without_that_configuration_nothing_enforces_policies() -> None:
    assert describe_network(CLUSTER) is None
