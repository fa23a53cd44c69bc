"""Pods that request a GPU in a cluster with the node pool and the device plugin that the program declares.

Proves, with a real API server, scheduler and DaemonSet controller, that such a pod causes a new node with the plugin
and runs there, with the quota and the limits of the namespaces of models and without its own toleration; that other
pods are not scheduled there; and that without the plugin it stays Pending with a reason and a remedy. The nodes, AKS'
autoscaler and the plugin's registration with a kubelet are simulated, and there is no GPU. Karpenter does not run here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi
import pytest

from infra.cluster.device_plugin import DevicePlugin, DevicePluginArgs
from infra.cluster.namespaces import DEVICE_PLUGIN as NAMESPACE
from infra.cluster.namespaces import DEVICE_PLUGIN_PROFILE, MODEL_PROFILES, Namespaces, NamespacesArgs
from infra.contract import NodePool, define_gpu_pool
from infra.core.settings.sections import GpuPoolSettings
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller.controller import CloudController
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.simulator.core.state_store import StateStore
from tests.support.cloud_objects import get_phase, nodes_by_name, pod_manifest
from tests.support.cluster_states import agent_pool, put_agent_pool, put_aks
from tests.support.foundations import sample_foundation
from tests.support.namespaced_cluster import NamespacedCluster
from tests.support.recording import record_program
from tests.support.waiting import TIMEOUT, eventually

DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
PLUGIN = "app.kubernetes.io/name=nvidia-device-plugin"
REQUESTS_GPU: Mapping[str, Any] = {"container": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}


def declare_pool() -> NodePool:
    pool = define_gpu_pool(GpuPoolSettings(size="Standard_NC4as_T4_v3", maximum=2), ("1", "2", "3"))
    assert pool
    return pool


@cache
def list_declared() -> Mapping[str, Object]:
    """The DaemonSet of the plugin, and the limits of a model's namespace, keyed by kind."""

    def declare() -> None:
        profiles = {"training": MODEL_PROFILES["training"], NAMESPACE: DEVICE_PLUGIN_PROFILE}
        namespaces = Namespaces("namespaces", NamespacesArgs(sample_foundation().identities, profiles))
        options = pulumi.ResourceOptions(depends_on=[namespaces])
        DevicePlugin("device-plugin", DevicePluginArgs(declare_pool()), options)

    recorder, _ = record_program(declare)
    bounds = [item.inputs for item in recorder.resources if item.name in ("training-limits", "training-quota")]
    return {found["kind"]: found for found in (recorder.single(DAEMON_SET).inputs, *bounds)}


def create_declared(plane: ControlPlane, namespace: str, *kinds: str) -> None:
    for kind in kinds:
        found = list_declared()[kind]
        plane.api.create({**found, "metadata": {**found["metadata"], "namespace": namespace}})


@pytest.fixture
def cluster(plane: ControlPlane, state: StateStore, cloud: CloudController, namespace: str) -> NamespacedCluster:
    """Two nodes without GPUs, none yet of the pool with GPUs, and a namespace like a model's."""
    # The plugin of an earlier test would affect this one.
    eventually(lambda: not plane.api.list("apps/v1", "DaemonSet"))
    pool = declare_pool()
    put_aks(state, agent_pool())
    taints = [f"{taint.key}={taint.value}:{taint.effect}" for taint in pool.taints]
    bounds = {"minCount": pool.minimum, "maxCount": pool.maximum, "count": pool.minimum}
    put_agent_pool(state, pool.name, vmSize=pool.size, nodeLabels=pool.labels, nodeTaints=taints, **bounds)
    cloud.wait_until_converged(TIMEOUT)
    create_declared(plane, namespace, "LimitRange", "ResourceQuota")
    return NamespacedCluster(plane.api, namespace)


def count_nodes(plane: ControlPlane) -> Mapping[str, int]:
    pools = [node["metadata"]["labels"]["groundwork/pool"] for node in nodes_by_name(plane.api).values()]
    return {pool: pools.count(pool) for pool in pools}


def test_it_causes_a_new_node_and_runs_there_beside_the_plugin(plane: ControlPlane, cluster: NamespacedCluster) -> None:
    create_declared(plane, cluster.namespace, "DaemonSet")
    cluster.expect_problems_of()  # although there is no node for it yet
    assert count_nodes(plane) == {"user": 2}
    plane.api.create(pod_manifest(cluster.namespace, "trains", **REQUESTS_GPU))
    eventually(lambda: get_phase(plane.api, "Pod", cluster.namespace, "trains") == "Running")
    assert count_nodes(plane) == {"user": 2, "gpu": 1}
    trains = plane.api.list("v1", "Pod", cluster.namespace, field_selector="metadata.name=trains")[0]["spec"]
    # The API server added it, as on AKS and EKS.
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in trains["tolerations"]
    # A simulated node has GPUs from the start, a real one only once the plugin runs there.
    (plugin,) = eventually(lambda: plane.api.list("v1", "Pod", cluster.namespace, label_selector=PLUGIN))
    eventually(lambda: get_phase(plane.api, "Pod", cluster.namespace, plugin["metadata"]["name"]) == "Running")
    cluster.expect_problems_of()
    nodes = {pod["spec"]["nodeName"] for pod in plane.api.list("v1", "Pod", cluster.namespace)}
    assert nodes == {trains["nodeName"]}


def test_without_the_plugin_it_stays_pending_with_the_reason(plane: ControlPlane, cluster: NamespacedCluster) -> None:
    plane.api.create(pod_manifest(cluster.namespace, "trains", **REQUESTS_GPU))
    problem = cluster.expect_problem("it requests 1 nvidia.com/gpu, which no node offers")
    assert problem.workload == f"Pod {cluster.namespace}/trains"
    assert "Set groundwork:cluster.gpuPool.size, which adds a pool of nodes with GPUs" in problem.remedy
    assert get_phase(plane.api, "Pod", cluster.namespace, "trains") == "Pending"
    eventually(lambda: count_nodes(plane) == {"user": 2})  # the node of another test is removed a little later


def test_other_pods_are_not_scheduled_on_its_nodes(
    plane: ControlPlane, cluster: NamespacedCluster, cloud: CloudController
) -> None:
    create_declared(plane, cluster.namespace, "DaemonSet")
    plane.api.create(pod_manifest(cluster.namespace, "trains", **REQUESTS_GPU))
    eventually(lambda: get_phase(plane.api, "Pod", cluster.namespace, "trains") == "Running")
    plane.api.create(pod_manifest(cluster.namespace, "other", nodeSelector={"groundwork/pool": "gpu"}))
    cluster.expect_problem("untolerated taint {nvidia.com/gpu: present}")
    cloud.wait_until_converged(TIMEOUT)
    assert count_nodes(plane) == {"user": 2, "gpu": 1}
