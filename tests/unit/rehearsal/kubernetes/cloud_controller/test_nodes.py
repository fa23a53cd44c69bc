"""From records of the simulated state to node pools and nodes: sizes, reservations, zones, labels, taints.

Proves the arithmetic with the clouds' published examples. Does not prove that every size is still offered, nor the
exact memory that a real node reports.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from infra.core.settings.clouds import Cloud
from infra.core.settings.limits import GPU_SIZE_FORMS
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller import storage, system_workloads, vm_sizes
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, NodePool, Taint, find_managed_cluster
from rehearsal.kubernetes.cloud_controller.nodes import build_node, describe_estimates
from rehearsal.simulator.core.state_store import StateStore
from tests.support.cluster_states import (
    agent_pool,
    put,
    put_addons,
    put_agent_pool,
    put_aks,
    put_association,
    put_eks,
    put_node_group,
)

GIB = 1024


@pytest.fixture
def state() -> Iterator[StateStore]:
    state = StateStore(":memory:")
    yield state
    state.close()


def read_cluster(state: StateStore) -> ManagedCluster:
    found = find_managed_cluster(state)
    assert found is not None
    return found


def build_nodes(state: StateStore) -> list[Object]:
    found = read_cluster(state)
    return [
        build_node(found, pool, number, "v1.33.0", with_gpus=True)
        for pool in found.pools
        for number in range(pool.count)
    ]


@pytest.mark.parametrize(
    ("size", "cpus", "memory", "gpus", "architecture"),
    [
        ("Standard_D4s_v5", 4, 16, 0, "amd64"),
        ("Standard_D16ads_v5", 16, 64, 0, "amd64"),
        ("Standard_D4pls_v5", 4, 8, 0, "arm64"),
        ("Standard_E8s_v5", 8, 64, 0, "amd64"),
        ("Standard_F8s_v2", 8, 16, 0, "amd64"),
        ("Standard_B2ms", 2, 8, 0, "amd64"),
        ("Standard_NC4as_T4_v3", 4, 28, 1, "amd64"),
        ("Standard_NC96ads_A100_v4", 96, 880, 4, "amd64"),
    ],
)
def test_sizes_of_azure(size: str, cpus: int, memory: int, gpus: int, architecture: str) -> None:
    found = vm_sizes.azure_vm_size(size)
    assert (found.cpus, found.memory, found.gpus, found.architecture) == (cpus, memory * GIB, gpus, architecture)


@pytest.mark.parametrize(
    ("size", "cpus", "memory", "gpus", "architecture", "pods"),
    [
        ("m6i.xlarge", 4, 16, 0, "amd64", 58),
        ("m7g.large", 2, 8, 0, "arm64", 29),
        ("c6gn.medium", 1, 2, 0, "arm64", 8),
        ("c5.9xlarge", 36, 72, 0, "amd64", 234),
        ("r7i.4xlarge", 16, 128, 0, "amd64", 110),  # 234 addresses, but fewer than 30 vCPUs
        ("m5.24xlarge", 96, 384, 0, "amd64", 250),  # 737 addresses
        ("t3.medium", 2, 4, 0, "amd64", 17),
        ("g4dn.xlarge", 4, 16, 1, "amd64", 29),
        ("g5.12xlarge", 48, 192, 4, "amd64", 250),
        ("p3.8xlarge", 32, 244, 4, "amd64", 234),
    ],
)
def test_sizes_of_aws(size: str, cpus: int, memory: int, gpus: int, architecture: str, pods: int) -> None:
    found = vm_sizes.aws_vm_size(size)
    assert (found.cpus, found.memory, found.gpus) == (cpus, memory * GIB, gpus)
    assert (found.architecture, found.max_pods) == (architecture, pods)


@pytest.mark.parametrize(
    ("cloud", "size", "cpus"),
    [("azure", "Standard_HB120rs_v3", 120), ("azure", "Standard_ND96isr_H200_v5", 96), ("aws", "z9.2xlarge", 8)],
)
def test_the_memory_of_another_size_is_estimated_and_the_summary_notes_it(cloud: str, size: str, cpus: int) -> None:
    found = vm_sizes.azure_vm_size(size) if cloud == "azure" else vm_sizes.aws_vm_size(size)
    assert (found.cpus, found.memory, found.is_estimate) == (cpus, 4 * cpus * GIB, True)
    pool = NodePool("user", size, 1, 1, ("1",), ())
    cluster = ManagedCluster(cloud, "c", "r", "o", (pool,), frozenset())
    (sentence,) = describe_estimates(cluster)
    assert sentence.startswith(f"Not checked: the memory of {size} in pool user")


@pytest.mark.parametrize(
    "size", ["Standard_Z9", "Standard_D4_v2", "Standard_DS3_v2", "Standard_B2ts_v2", "m6i.xlarge", ""]
)
def test_an_unknown_size_of_azure_is_an_error(size: str) -> None:
    with pytest.raises(vm_sizes.UnknownVmSizeError, match=f"'{size}'.*sizes.py"):
        vm_sizes.azure_vm_size(size)


@pytest.mark.parametrize("size", ["m6i.huge", "z9.metal", "Standard_D4s_v5", "ml.m5.xlarge"])
def test_an_unknown_size_of_aws_is_an_error(size: str) -> None:
    with pytest.raises(vm_sizes.UnknownVmSizeError, match=f"'{size}'.*sizes.py"):
        vm_sizes.aws_vm_size(size)


@pytest.mark.parametrize(
    ("memory", "pods", "reserved"),
    [(8 * GIB, 30, 650 + 100), (4 * GIB, 70, GIB + 100)],  # the two examples of Microsoft's page, in MiB
)
def test_aks_reserves_memory_as_documented(memory: int, pods: int, reserved: int) -> None:
    capacity = vm_sizes.azure_node_capacity(vm_sizes.VmSize(2, memory), pods, None)
    assert capacity.memory - capacity.allocatable_memory == reserved


@pytest.mark.parametrize(("cpus", "reserved"), [(1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740)])
def test_aks_reserves_cpu_as_documented(cpus: int, reserved: int) -> None:
    capacity = vm_sizes.azure_node_capacity(vm_sizes.VmSize(cpus, 16 * GIB), 110, None)
    assert capacity.cpu - capacity.allocatable_cpu == reserved


@pytest.mark.parametrize(("size", "cpu"), [("m6i.large", 70), ("m6i.xlarge", 80), ("m6i.2xlarge", 90)])
def test_eks_reserves_what_its_image_reserves(size: str, cpu: int) -> None:
    known = vm_sizes.aws_vm_size(size)
    capacity = vm_sizes.aws_node_capacity(known, 100)
    assert capacity.cpu - capacity.allocatable_cpu == cpu
    assert capacity.memory - capacity.allocatable_memory == 255 + 11 * known.max_pods + 100


def test_a_scaled_pool_starts_at_its_minimum_and_others_at_their_count(state: StateStore) -> None:
    put_aks(state, agent_pool("scaled", minCount=1, count=3), agent_pool("fixed", enableAutoScaling=False, count=3))
    assert [(pool.name, pool.count, pool.max_count) for pool in read_cluster(state).pools] == [
        ("scaled", 1, 4),
        ("fixed", 3, 3),
    ]


def test_agent_pools_outside_of_the_clusters_profile_are_included(state: StateStore) -> None:
    put_aks(state, agent_pool("system", mode="System"))
    put_agent_pool(state, "user")
    modes = {one.name: one.labels["kubernetes.azure.com/mode"] for one in read_cluster(state).pools}
    assert modes == {"system": "system", "user": "user"}


def test_taints_are_read_from_either_cloud(state: StateStore) -> None:
    expected = (Taint("gpu", "only", "NoSchedule"),)
    put_aks(state, agent_pool(nodeTaints=["gpu=only:NoSchedule"]))
    assert read_cluster(state).pools[0].taints == expected
    other = StateStore(":memory:")
    put_eks(other)
    put_node_group(other, taints=[{"key": "gpu", "value": "only", "effect": "NO_SCHEDULE"}])
    assert read_cluster(other).pools[0].taints == expected
    other.close()


def test_spot_nodes_are_tainted_as_aks_taints_them(state: StateStore) -> None:
    put_aks(state, agent_pool(scaleSetPriority="Spot"))
    assert read_cluster(state).pools[0].taints == (
        Taint("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule"),
    )


def test_different_pools_give_different_nodes(state: StateStore) -> None:
    put_aks(state, agent_pool(vmSize="Standard_D4s_v5"))
    small = build_nodes(state)
    put_aks(state, agent_pool(vmSize="Standard_E8s_v5", minCount=3, maxPods=50))
    large = build_nodes(state)
    assert (len(small), len(large)) == (2, 3)
    assert small[0]["status"]["allocatable"]["cpu"] == "3860m"
    assert large[0]["status"]["allocatable"]["cpu"] == "7820m"
    assert large[0]["status"]["allocatable"]["pods"] == "50"


def test_nodes_of_aks_have_its_names_and_labels(state: StateStore) -> None:
    put_aks(state, agent_pool(minCount=4, maxCount=40))
    found = build_nodes(state)
    labels = [one["metadata"]["labels"] for one in found]
    assert [one["metadata"]["name"][-10:] for one in found] == [f"vmss00000{number}" for number in range(4)]
    assert found[0]["metadata"]["name"].startswith("aks-user-")
    zones = [one["topology.kubernetes.io/zone"] for one in labels]
    assert zones == ["westeurope-1", "westeurope-2", "westeurope-3", "westeurope-1"]
    assert labels[0]["node.kubernetes.io/instance-type"] == "Standard_D4s_v5"
    assert labels[0]["groundwork/pool"] == "user"


def test_nodes_of_eks_have_an_address_in_their_zones_subnet(state: StateStore) -> None:
    put_eks(state)
    put_node_group(state, "system")
    put_node_group(state, "user", scalingConfig={"minSize": 6, "maxSize": 9, "desiredSize": 6})
    put_addons(state, "vpc-cni")
    blocks = {"a": "10.20.0.0/18", "b": "10.20.64.0/18", "c": "10.20.128.0/18"}
    found = build_nodes(state)
    for one in found:
        zone = one["metadata"]["labels"]["topology.kubernetes.io/zone"]
        address = one["status"]["addresses"][0]["address"]
        assert ipaddress.IPv4Address(address) in ipaddress.IPv4Network(blocks[zone[-1]])
        assert one["metadata"]["name"] == f"ip-{address.replace('.', '-')}.eu-west-1.compute.internal"
    assert len({one["metadata"]["name"] for one in found}) == 8


def test_gpus_are_allocatable_only_with_a_device_plugin(state: StateStore) -> None:
    put_aks(state, agent_pool(vmSize="Standard_NC4as_T4_v3"))
    found, pool = read_cluster(state), read_cluster(state).pools[0]
    with_plugin, without = (
        build_node(found, pool, 0, "v1", with_gpus=gpus)["status"]["allocatable"] for gpus in (True, False)
    )
    assert with_plugin["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in without


def test_a_node_of_eks_without_a_network_is_not_ready(state: StateStore) -> None:
    put_eks(state)
    put_node_group(state)
    (ready,) = build_nodes(state)[0]["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "KubeletNotReady")
    put_addons(state, "vpc-cni")
    assert "conditions" not in build_nodes(state)[0]["status"]


def test_a_bootstrapped_cluster_of_eks_has_its_self_managed_add_ons(state: StateStore) -> None:
    put_eks(state, bootstrapSelfManagedAddons=True)
    assert read_cluster(state).addons == {"coredns", "kube-proxy", "vpc-cni"}


def test_the_disk_is_that_of_the_launch_template(state: StateStore) -> None:
    disk = {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100}}]}
    put(state, "aws:ec2/launchTemplate:LaunchTemplate", "lt-1", disk)
    put_eks(state)
    put_node_group(state, launchTemplate={"id": "lt-1"})
    assert build_nodes(state)[0]["status"]["capacity"]["ephemeral-storage"] == "102400Mi"


def test_pod_identities_are_those_of_associations_and_of_add_ons(state: StateStore) -> None:
    put_eks(state)
    put_association(state, "mlflow", "mlflow")
    own = [{"serviceAccount": "aws-node", "roleArn": "arn:aws:iam::1:role/cni"}]
    addon = {"clusterName": "acme", "addonName": "vpc-cni", "podIdentityAssociations": own}
    put(state, "aws:eks/addon:Addon", "acme:vpc-cni", addon)
    assert read_cluster(state).pod_identity_associations == {("mlflow", "mlflow"), ("kube-system", "aws-node")}


def test_the_newer_cluster_is_used_during_a_replacement(state: StateStore) -> None:
    put_eks(state)
    put(state, "aws:eks/cluster:Cluster", "new", {"name": "new"}, arn="arn:aws:eks:eu-west-1:1:cluster/new")
    assert read_cluster(state).name == "new"


def test_a_state_without_a_cluster_has_no_managed_cluster(state: StateStore) -> None:
    assert find_managed_cluster(state) is None


@pytest.mark.parametrize(("zones", "sku"), [(["1", "2", "3"], "StandardSSD_ZRS"), ([], "StandardSSD_LRS")])
def test_disks_of_aks_are_zone_redundant_if_nodes_have_zones(state: StateStore, zones: list[str], sku: str) -> None:
    put_aks(state, agent_pool(availabilityZones=zones))
    classes: dict[str, Any] = {one["metadata"]["name"]: one for one in storage.build_manifests(read_cluster(state))}
    assert classes["managed-csi"]["parameters"] == {"skuname": sku}


def test_the_storage_class_of_eks_is_not_the_default(state: StateStore) -> None:
    put_eks(state)
    (gp2,) = storage.build_manifests(read_cluster(state))
    assert (gp2["metadata"]["name"], gp2["metadata"]["annotations"]) == ("gp2", {})


def test_every_add_on_of_aks_has_its_workloads(state: StateStore) -> None:
    on = {"enabled": True}
    put_aks(
        state,
        securityProfile={"workloadIdentity": on, "imageCleaner": on, "defender": {"securityMonitoring": on}},
        addonProfiles={"omsagent": on, "azurepolicy": on},
        networkProfile={"networkDataplane": "cilium"},
    )
    names = {
        one["metadata"]["name"]
        for one in system_workloads.build_manifests(read_cluster(state))
        if one["apiVersion"] == "apps/v1"
    }
    assert {"coredns", "ama-logs", "gatekeeper-audit", "cilium", "azure-wi-webhook-controller-manager"} <= names
    assert "kube-proxy" not in names


def test_the_sizes_with_gpus_are_those_that_the_setting_allows() -> None:
    """A size that only the rehearsal or only the setting knows would never be used, or would have no GPU."""
    tables: Mapping[Cloud, Mapping[str, Sequence[Any]]] = {
        Cloud.AZURE: vm_sizes._AZURE_TABLE,
        Cloud.AWS: vm_sizes._AWS_TABLE,
    }
    for cloud, table in tables.items():
        form, example = GPU_SIZE_FORMS[cloud]
        assert example in table
        assert {size for size in table if re.fullmatch(form, size)} == {size for size in table if table[size][2]}
