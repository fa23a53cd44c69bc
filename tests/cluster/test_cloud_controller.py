"""The cluster's nodes, volumes and load balancers are those of the stack, and are missing if the stack has none.

Proves on a real API server, with its real scheduler and controllers, that they follow the simulated state. Does not
prove that the clouds' figures are up to date.
"""

from __future__ import annotations

from threading import Thread

import pytest

from rehearsal.kubernetes.cloud_controller import autoscaler
from rehearsal.kubernetes.cloud_controller.controller import CloudController
from rehearsal.kubernetes.cloud_controller.drain import ClusterDrain
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.simulator.core.state_store import StateStore
from tests.support.cloud_objects import (
    all_nodes_ready,
    claim_manifest,
    get_ingress,
    get_phase,
    load_balancer_manifest,
    mount_claim,
    nodes_by_name,
    pod_manifest,
    ready_condition,
)
from tests.support.cluster_states import agent_pool, put_addons, put_agent_pool, put_aks, put_eks, put_node_group
from tests.support.waiting import TIMEOUT, eventually


def test_node_pools_become_ready_nodes_and_are_removed_with_their_pool(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_aks(state, agent_pool("system", mode="System", nodeTaints=["CriticalAddonsOnly=true:NoSchedule"]))
    user = put_agent_pool(state, "user", vmSize="Standard_E8s_v5", minCount=3)
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: all_nodes_ready(plane.api))
    labels = [node["metadata"]["labels"] for node in nodes_by_name(plane.api).values()]
    assert sorted(one["kubernetes.azure.com/agentpool"] for one in labels) == ["system"] * 2 + ["user"] * 3
    assert {one["topology.kubernetes.io/zone"] for one in labels} == {f"westeurope-{zone}" for zone in (1, 2, 3)}
    state.remove(user)
    cloud.wait_until_converged(TIMEOUT)
    assert [name.split("-")[1] for name in nodes_by_name(plane.api)] == ["system"] * 2


def test_an_upgraded_pool_shows_its_version(plane: ControlPlane, state: StateStore, cloud: CloudController) -> None:
    for version in ("1.34", "1.35.2"):
        put_aks(state, agent_pool(currentOrchestratorVersion=version), kubernetesVersion=version)
        cloud.wait_until_converged(TIMEOUT)
        eventually(lambda: all_nodes_ready(plane.api))
        versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes_by_name(plane.api).values()}
        assert versions == {"v1.34.0" if version == "1.34" else "v1.35.2"}


def test_a_changed_label_or_taint_is_applied_to_existing_nodes(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_aks(state, agent_pool(nodeLabels={"old": "yes"}))
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: all_nodes_ready(plane.api))
    uids = {node["metadata"]["uid"] for node in nodes_by_name(plane.api).values()}
    put_aks(state, agent_pool(nodeLabels={"new": "yes"}, nodeTaints=["gpu=only:NoSchedule"]))
    cloud.wait_until_converged(TIMEOUT)
    found = nodes_by_name(plane.api).values()
    assert {node["metadata"]["uid"] for node in found} == uids
    assert all(node["metadata"]["labels"].get("new") == "yes" for node in found)
    assert not any("old" in node["metadata"]["labels"] for node in found)
    assert all(node["spec"]["taints"] == [{"key": "gpu", "value": "only", "effect": "NoSchedule"}] for node in found)


def test_a_second_run_finds_its_nodes_and_changes_nothing(
    plane: ControlPlane, egress: EgressProxy, state: StateStore, cloud: CloudController
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: all_nodes_ready(plane.api))
    before = {name: node["metadata"]["uid"] for name, node in nodes_by_name(plane.api).items()}
    again = CloudController(plane, state, egress)
    with again.run():
        again.wait_until_converged(TIMEOUT)
    assert {name: node["metadata"]["uid"] for name, node in nodes_by_name(plane.api).items()} == before
    assert again.problems() == []


def test_a_second_run_finds_the_storage_classes_of_eks(
    plane: ControlPlane, egress: EgressProxy, state: StateStore, cloud: CloudController
) -> None:
    put_eks(state)
    put_addons(state, "vpc-cni", "aws-ebs-csi-driver", aws_ebs_csi_driver={"defaultStorageClass": {"enabled": True}})
    cloud.wait_until_converged(TIMEOUT)
    before = {found["metadata"]["uid"] for found in plane.api.list("storage.k8s.io/v1", "StorageClass")}
    assert len(before) == 2
    again = CloudController(plane, state, egress)
    with again.run():
        again.wait_until_converged(TIMEOUT)
    assert again.problems() == []
    assert {found["metadata"]["uid"] for found in plane.api.list("storage.k8s.io/v1", "StorageClass")} == before


def test_an_unknown_vm_size_is_reported_and_other_pools_get_their_nodes(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_aks(state, agent_pool("odd", vmSize="Standard_Z99"), agent_pool("user"))
    cloud.wait_until_converged(TIMEOUT)
    assert len(nodes_by_name(plane.api)) == 2
    assert len(cloud.problems()) == 1
    again = Thread(target=cloud.wait_until_converged, args=(TIMEOUT,))
    again.start()
    while again.is_alive():  # it is still reported during the next round
        assert len(cloud.problems()) == 1
    assert "Standard_Z99" in cloud.problems()[0]
    assert "sizes.py" in cloud.problems()[0]


def test_nodes_of_eks_are_not_ready_without_the_network_add_on(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_eks(state)
    put_node_group(state)
    cloud.wait_until_converged(TIMEOUT)
    found = [ready_condition(node) for node in nodes_by_name(plane.api).values()]
    assert [one["status"] for one in found] == ["False", "False"]
    assert all("cni plugin not initialized" in one["message"] for one in found)
    put_addons(state, "vpc-cni")
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: all_nodes_ready(plane.api))


def test_a_claim_is_bound_to_a_volume_in_the_zone_of_its_pod(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni", "aws-ebs-csi-driver", aws_ebs_csi_driver={"defaultStorageClass": {"enabled": True}})
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(claim_manifest(namespace, "data", None))
    plane.api.create(pod_manifest(namespace, "user", **mount_claim("data")))
    eventually(lambda: get_phase(plane.api, "Pod", namespace, "user") == "Running")
    found = plane.api.get("v1", "PersistentVolumeClaim", "data", namespace)
    assert found is not None
    assert found["spec"]["storageClassName"] == "ebs-csi-default-sc"
    volume = plane.api.get("v1", "PersistentVolume", found["spec"]["volumeName"])
    scheduled = plane.api.get("v1", "Pod", "user", namespace)
    assert volume is not None
    assert scheduled is not None
    zone = nodes_by_name(plane.api)[scheduled["spec"]["nodeName"]]["metadata"]["labels"]["topology.kubernetes.io/zone"]
    assert zone in str(volume["spec"]["nodeAffinity"])
    plane.api.delete("v1", "Pod", "user", namespace)
    plane.api.delete("v1", "PersistentVolumeClaim", "data", namespace)
    name = volume["metadata"]["name"]
    eventually(lambda: plane.api.get("v1", "PersistentVolume", name) is None)


def test_a_claim_stays_pending_without_its_csi_driver(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni")
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(claim_manifest(namespace, "data", "gp2"))
    plane.api.create(pod_manifest(namespace, "user", **mount_claim("data")))
    provisioner_annotation = "volume.kubernetes.io/storage-provisioner"

    def waits_for_driver() -> bool:
        found = plane.api.get("v1", "PersistentVolumeClaim", "data", namespace)
        return bool(found and found["metadata"].get("annotations", {}).get(provisioner_annotation) == "ebs.csi.aws.com")

    eventually(waits_for_driver)
    cloud.wait_until_converged(TIMEOUT)
    assert get_phase(plane.api, "PersistentVolumeClaim", namespace, "data") == "Pending"
    assert get_phase(plane.api, "Pod", namespace, "user") == "Pending"


def test_aks_has_its_storage_classes_unless_their_driver_is_disabled(
    plane: ControlPlane, state: StateStore, cloud: CloudController
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    classes = {one["metadata"]["name"]: one for one in plane.api.list("storage.k8s.io/v1", "StorageClass")}
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    assert [name for name, one in classes.items() if one["metadata"].get("annotations") == default] == ["default"]
    assert {"managed-csi", "managed-csi-premium", "azurefile-csi"} <= classes.keys()
    put_aks(state, storageProfile={"diskCSIDriver": {"enabled": False}})
    cloud.wait_until_converged(TIMEOUT)
    left = {one["metadata"]["name"] for one in plane.api.list("storage.k8s.io/v1", "StorageClass")}
    assert "managed-csi" not in left
    assert "azurefile-csi" in left


def test_aks_provides_load_balancers_and_releases_them(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state)
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(load_balancer_manifest(namespace, "public"))
    internal = {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
    plane.api.create(load_balancer_manifest(namespace, "private", **internal))
    assert eventually(lambda: get_ingress(plane.api, namespace, "public"))[0]["ip"].startswith("203.0.113.")
    assert eventually(lambda: get_ingress(plane.api, namespace, "private"))[0]["ip"].startswith("10.20.")
    found = plane.api.get("v1", "Service", "public", namespace)
    assert found is not None
    assert found["metadata"]["finalizers"] == ["service.kubernetes.io/load-balancer-cleanup"]
    plane.api.delete("v1", "Service", "public", namespace)
    eventually(lambda: plane.api.get("v1", "Service", "public", namespace) is None)
    plane.api.patch(load_balancer_manifest(namespace, "private"), {"spec": {"type": "ClusterIP"}})
    eventually(lambda: not get_ingress(plane.api, namespace, "private"))


def test_eks_provides_load_balancers_only_in_tagged_subnets(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_eks(state, tags={"kubernetes.io/role/internal-elb": "1"})
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(load_balancer_manifest(namespace, "public"))
    internal = {"service.beta.kubernetes.io/aws-load-balancer-internal": "true"}
    plane.api.create(load_balancer_manifest(namespace, "private", **internal))
    host = eventually(lambda: get_ingress(plane.api, namespace, "private"))[0]["hostname"]
    assert host.startswith("internal-")
    assert host.endswith(".eu-west-1.elb.amazonaws.com")
    events = eventually(
        lambda: plane.api.list("v1", "Event", namespace, field_selector="reason=SyncLoadBalancerFailed")
    )
    assert [one["involvedObject"]["name"] for one in events] == ["public"]
    assert "could not find any suitable subnets for creating the ELB" in events[0]["message"]
    assert not get_ingress(plane.api, namespace, "public")


def test_gpus_are_allocatable_only_with_a_device_plugin(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state, agent_pool("gpu", vmSize="Standard_NC4as_T4_v3"))
    cloud.wait_until_converged(TIMEOUT)
    gpu = {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
    plane.api.create(pod_manifest(namespace, "trains", container={"resources": gpu}))
    assert all("nvidia.com/gpu" not in node["status"]["allocatable"] for node in nodes_by_name(plane.api).values())
    template = {
        "metadata": {"labels": {"app": "plugin"}},
        "spec": {"containers": [{"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1"}]},
    }
    daemon = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "plugin", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": "plugin"}}, "template": template},
    }
    plane.api.create(daemon)
    eventually(lambda: get_phase(plane.api, "Pod", namespace, "trains") == "Running")
    plane.api.delete("apps/v1", "DaemonSet", "plugin", namespace)
    eventually(
        lambda: all("nvidia.com/gpu" not in one["status"]["allocatable"] for one in nodes_by_name(plane.api).values())
    )


def test_the_autoscaler_of_aks_adds_as_many_nodes_as_pods_need(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    """One pod fits beside the system pods; the other two share a new node."""
    put_aks(state, agent_pool(minCount=1, maxCount=3))
    cloud.wait_until_converged(TIMEOUT)
    names = [f"large-{number}" for number in range(3)]
    for name in names:
        plane.api.create(pod_manifest(namespace, name, requests={"cpu": "1700m"}))
    eventually(lambda: {get_phase(plane.api, "Pod", namespace, name) for name in names} == {"Running"})
    assert len(nodes_by_name(plane.api)) == 2
    assert cloud.notes() == [
        "The simulated autoscaler scaled pool user from 1 to 2 nodes (maximum 3) for pods that did not fit"
    ]


def test_an_added_node_is_removed_when_it_is_idle(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_aks(state, agent_pool(minCount=1, maxCount=3))
    cloud.wait_until_converged(TIMEOUT)
    names = ("large-0", "large-1")
    for name in names:
        plane.api.create(pod_manifest(namespace, name, requests={"cpu": "2500m"}))
    eventually(lambda: {get_phase(plane.api, "Pod", namespace, name) for name in names} == {"Running"})
    monkeypatch.setattr(autoscaler, "_IDLE_TIME", 0)
    cloud.wait_until_converged(TIMEOUT)
    assert len(nodes_by_name(plane.api)) == 2
    for name in names:
        plane.api.delete("v1", "Pod", name, namespace)
    eventually(lambda: len(nodes_by_name(plane.api)) == 1)


def test_no_node_is_added_for_a_pod_that_would_not_fit(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state, agent_pool(minCount=1, maxCount=3))
    cloud.wait_until_converged(TIMEOUT)
    plane.api.create(pod_manifest(namespace, "giant", requests={"cpu": "40"}))
    plane.api.create(pod_manifest(namespace, "picky", nodeSelector={"nobody": "has"}))
    eventually(lambda: len(plane.api.list("v1", "Event", namespace, field_selector="reason=FailedScheduling")) == 2)
    cloud.wait_until_converged(TIMEOUT)
    assert len(nodes_by_name(plane.api)) == 1


def test_eks_has_no_autoscaler(plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str) -> None:
    put_eks(state)
    put_node_group(state)
    put_addons(state, "vpc-cni")
    cloud.wait_until_converged(TIMEOUT)
    for number in range(3):
        plane.api.create(pod_manifest(namespace, f"large-{number}", requests={"cpu": "2500m"}))
    eventually(lambda: plane.api.list("v1", "Event", namespace, field_selector="reason=FailedScheduling"))
    cloud.wait_until_converged(TIMEOUT)
    assert len(nodes_by_name(plane.api)) == 2
    assert cloud.notes() == []


def test_a_budget_that_allows_no_disruption_blocks_the_drain_of_a_pool(
    plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str
) -> None:
    put_aks(state, agent_pool())
    cloud.wait_until_converged(TIMEOUT)
    eventually(lambda: all_nodes_ready(plane.api))
    pod = pod_manifest(namespace, "only")
    pod["metadata"]["labels"] = {"app": "only"}
    plane.api.create(pod)
    drain = ClusterDrain(plane.api)
    eventually(lambda: (plane.api.get("v1", "Pod", "only", namespace) or {})["status"].get("phase") == "Running")
    assert drain.find_blocked_eviction("user") is None
    budget = {"selector": {"matchLabels": {"app": "only"}}, "minAvailable": 1}
    metadata = {"name": "all", "namespace": namespace}
    plane.api.create({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": budget})

    def find_blocked() -> bool:
        blocked = drain.find_blocked_eviction("user")
        assert blocked is not None
        assert (blocked.pod, blocked.budget) == (f"{namespace}/only", "all")
        return "needs 1 healthy pods and has 1 currently" in blocked.detail

    eventually(find_blocked)
    assert plane.api.get("v1", "Pod", "only", namespace) is not None
    assert drain.find_blocked_eviction("other") is None
