"""Versions of control plane and nodes, as the rehearsal's cluster shows and describes them.

Proves this for states of both simulated clouds. That nodes in the cluster change their version is tested in
tests/cluster/test_cloud_controller.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal.kubernetes.cloud_controller.managed_cluster import find_managed_cluster
from rehearsal.kubernetes.cloud_controller.nodes import build_node
from rehearsal.kubernetes.cloud_controller.versions import describe_differences
from rehearsal.simulator.core.state_store import StateStore
from tests.support.cluster_states import agent_pool, put_aks, put_eks, put_node_group

REHEARSED = "v1.33.13"


@pytest.fixture
def state() -> Iterator[StateStore]:
    state = StateStore(":memory:")
    yield state
    state.close()


def _read(state: StateStore) -> tuple[list[str], list[str]]:
    """The versions of the pools' nodes, and the differences."""
    cluster = find_managed_cluster(state)
    assert cluster is not None
    nodes = [build_node(cluster, pool, 0, REHEARSED, with_gpus=False) for pool in cluster.pools]
    versions = [node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes]
    return versions, list(describe_differences(cluster, REHEARSED))


def test_a_cluster_of_the_rehearsed_version_has_no_differences(state: StateStore) -> None:
    put_aks(state, agent_pool(currentOrchestratorVersion="1.33.4"), kubernetesVersion="1.33")
    assert _read(state) == (["v1.33.4"], [])


def test_differences_of_an_eks_cluster_are_version_range_and_the_group_left_behind(state: StateStore) -> None:
    put_eks(state, version="1.36", kubernetesNetworkConfig={"serviceIpv4Cidr": "172.20.0.0/16"})
    put_node_group(state, "system", version="1.36")
    put_node_group(state, "user", version="1.35")
    versions, differences = _read(state)
    assert versions == ["v1.36.0", "v1.35.0"]
    assert [line.split(":")[0] for line in differences] == [
        "Kubernetes 1.36 is declared, v1.33.13 was rehearsed",
        "the service range 172.20.0.0/16 is declared, 10.96.0.0/16 was rehearsed",
        "pool user was left behind on Kubernetes 1.35, the cluster is on 1.36",
    ]


def test_an_aks_pool_left_behind_is_a_difference(state: StateStore) -> None:
    put_aks(state, agent_pool("system", currentOrchestratorVersion="1.35"), kubernetesVersion="1.36")
    versions, differences = _read(state)
    assert versions == ["v1.35.0"]
    assert differences[-1].startswith("pool system was left behind on Kubernetes 1.35, the cluster is on 1.36")


def test_without_versions_the_nodes_have_the_rehearsed_one(state: StateStore) -> None:
    put_eks(state)
    put_node_group(state)
    assert _read(state) == ([REHEARSED], [])
