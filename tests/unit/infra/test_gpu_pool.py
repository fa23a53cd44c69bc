"""The pool of nodes with GPUs: none by default, and the same on both clouds if `cluster.gpuPool.size` is set.

Proves what is declared: AKS' agent pool, Karpenter's node pool, the device plugin on exactly their nodes, and which
controls it violates, each with a reviewed exception. tests/cluster/test_gpu_pool.py proves, for AKS, that pods which
request a GPU then run; a rehearsal does not run Karpenter. Not proven: that the plugin's process starts, since no test
has a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra import cluster
from infra.cluster.namespaces import DEVICE_PLUGIN as NAMESPACE
from infra.contract import GPU_TAINT, NodePool, define_gpu_pool
from infra.core.settings.clouds import Cloud
from infra.core.settings.limits import GPU_SIZE_FORMS
from infra.core.settings.sections import GpuPoolSettings
from policies import evaluate_manifest, load_exceptions
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, record_program, stack_context
from tests.support.sample_foundations import record_foundation
from tests.support.sample_platform import record_platform

pytestmark = pytest.mark.slow

AGENT_POOL = "azure-native:containerservice:AgentPool"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
SIZES = {cloud: example for cloud, (_, example) in GPU_SIZE_FORMS.items()}
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def with_pool(cloud: Cloud) -> dict[str, Any]:
    return {"gpuPool": {"size": SIZES[cloud], "maximum": 6}}


@pytest.fixture(scope="module")
def pool() -> NodePool:
    defined = define_gpu_pool(GpuPoolSettings(size="g4dn.2xlarge", maximum=3), ("a", "b", "c"))
    assert defined
    return defined


@pytest.fixture(scope="module")
def platform(pool: NodePool) -> Recorder:
    return record_program(lambda: cluster.create_platform(stack_context("aws"), sample_foundation(pool)))[0]


@pytest.fixture(scope="module")
def daemon_set(platform: Recorder) -> Any:
    return platform.single(DAEMON_SET).inputs


@pytest.fixture(scope="module")
def pod(daemon_set: Any) -> Any:
    return daemon_set["spec"]["template"]["spec"]


@pytest.mark.parametrize("cloud", Cloud)
def test_without_a_size_there_is_no_pool(cloud: Cloud) -> None:
    stack = record_foundation(cloud)
    assert stack.foundation.cluster.gpu_pool is None
    assert not [item.name for item in stack.recorder.resources if "gpu" in item.name]


def test_without_a_pool_there_is_no_device_plugin() -> None:
    platform = record_platform(cloud="aws")
    assert platform.of_type(DAEMON_SET) == []
    assert not [item.name for item in platform.resources if item.name == NAMESPACE or "gpu" in item.name]


@pytest.mark.parametrize("cloud", Cloud)
def test_both_clouds_have_the_same_pool(cloud: Cloud) -> None:
    foundation = record_foundation(cloud, cluster=with_pool(cloud)).foundation
    gpu_pool = foundation.cluster.gpu_pool
    assert gpu_pool
    assert (gpu_pool.name, gpu_pool.size, gpu_pool.minimum, gpu_pool.maximum) == ("gpu", SIZES[cloud], 0, 6)
    assert (gpu_pool.labels, gpu_pool.taints) == ({"groundwork/pool": "gpu"}, (GPU_TAINT,))
    assert len(set(gpu_pool.zones)) == 3
    # Node groups have no autoscaler, so one that starts at zero would stay there.
    assert [one.name for one in foundation.cluster.node_pools] == ["system", "user"]


def test_aks_has_an_agent_pool_like_the_others_that_starts_at_zero() -> None:
    recorder = record_foundation(Cloud.AZURE, cluster=with_pool(Cloud.AZURE)).recorder
    pools = {item.name: item.inputs for item in recorder.of_type(AGENT_POOL)}
    gpu, user = pools["cluster-gpu"], pools["cluster-user"]
    assert gpu["nodeTaints"] == ["nvidia.com/gpu=present:NoSchedule"]
    own = {"agentPoolName", "vmSize", "minCount", "maxCount", "nodeLabels", "nodeTaints", "upgradeSettings"}
    assert (gpu["agentPoolName"], gpu["vmSize"], gpu["minCount"], gpu["maxCount"]) == ("gpu", SIZES[Cloud.AZURE], 0, 6)
    assert gpu["nodeLabels"] == {"groundwork/pool": "gpu"}
    assert {key: value for key, value in gpu.items() if key not in own} == {
        key: value for key, value in user.items() if key not in own
    }
    # An upgrade adds a single node with a GPU, for which there is little quota.
    assert gpu["upgradeSettings"] == {**user["upgradeSettings"], "maxSurge": "1"}
    assert gpu["enableEncryptionAtHost"] is True
    assert gpu["availabilityZones"] == ["1", "2", "3"]
    request = recorder.requests[AGENT_POOL, "cluster-gpu"]
    assert list(request.replaceOnChanges) == ["vmSize"]
    assert request.deleteBeforeReplace


def test_karpenter_adds_nodes_of_its_size_up_to_its_maximum(platform: Recorder) -> None:
    (spec,) = [item.inputs["spec"] for item in platform.of_type(NODE_POOL) if item.inputs["metadata"]["name"] == "gpu"]
    template = spec["template"]
    assert spec["limits"] == {"cpu": "24"}  # three nodes of eight
    assert template["metadata"]["labels"] == {"groundwork/pool": "gpu"}
    assert template["spec"]["taints"] == [TAINT]
    requirements = {one["key"]: one["values"] for one in template["spec"]["requirements"]}
    assert requirements == {
        "node.kubernetes.io/instance-type": ["g4dn.2xlarge"],
        "karpenter.sh/capacity-type": ["on-demand"],
    }
    assert template["spec"]["nodeClassRef"]["name"] == "groundwork"  # whose disks are encrypted


def test_the_plugin_runs_on_the_pools_nodes_and_on_no_others(pod: Any, pool: NodePool) -> None:
    assert pod["nodeSelector"] == pool.labels
    assert pod["tolerations"] == [{**TAINT, "operator": "Equal"}]
    assert pod["priorityClassName"] == "system-node-critical"


def test_the_plugin_has_the_kubelets_folder_and_nothing_else(pod: Any) -> None:
    (container,) = pod["containers"]
    (volume,) = pod["volumes"]
    folder = "/var/lib/kubelet/device-plugins"
    assert volume["hostPath"] == {"path": folder, "type": "Directory"}
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": folder}]
    assert pod["automountServiceAccountToken"] is False
    assert container["image"].startswith("nvcr.io/nvidia/k8s-device-plugin:v")


def test_it_violates_no_control_without_a_reviewed_exception(daemon_set: Any) -> None:
    violated = {control.id for control, _ in evaluate_manifest({**daemon_set, "apiVersion": "apps/v1"})}
    broken = ("host-path", "image-digest", "image-registry", "non-root", "probes")
    assert violated == {f"k8s-pod-{what}" for what in broken}
    assert violated < {item.control for item in load_exceptions() if item.matches("nvidia-device-plugin")}


def test_it_has_its_own_namespace_with_a_quota_and_without_traffic(platform: Recorder, daemon_set: Any) -> None:
    assert daemon_set["metadata"]["namespace"] == NAMESPACE
    (namespace,) = [item.inputs for item in platform.of_type("kubernetes:core/v1:Namespace") if item.name == NAMESPACE]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    inside = [
        item.inputs for item in platform.resources if item.inputs.get("metadata", {}).get("namespace") == NAMESPACE
    ]
    assert sorted(item["kind"] for item in inside) == ["DaemonSet", "LimitRange", "NetworkPolicy", "ResourceQuota"]
    (policy,) = [item["spec"] for item in inside if item["kind"] == "NetworkPolicy"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ipBlock" not in str(policy["egress"]), "reaches neither the API server nor anything outside"
    parent = platform.list_dependencies("groundwork:cluster:DevicePlugin", "device-plugin")
    assert ("kubernetes:networking.k8s.io/v1:NetworkPolicy", f"{NAMESPACE}-default") in parent
