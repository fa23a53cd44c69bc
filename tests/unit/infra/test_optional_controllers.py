"""The AWS Load Balancer Controller and Karpenter, which only some clouds need.

Proves when they are declared, with which values, and that node pools have limits. Does not prove that Karpenter creates
nodes: in a rehearsal the process in its pods is simulated.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import asdict
from typing import Any

import pytest

from infra import cluster
from infra.cluster.karpenter import SPOT_TAINT, count_cores
from infra.contract import Foundation
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, record_program, stack_context
from tests.support.sample_platform import record_platform

pytestmark = pytest.mark.slow

CHARTS = {"aws-load-balancer-controller", "karpenter", "karpenter-crd"}
NAMESPACES = {"aws-load-balancer-controller", "karpenter"}
# The maximum of 5 nodes is three beyond the minimum, each of 8 cores.
TOKENS = {"ipBlock": {"cidr": "169.254.170.23/32"}}
SIZES = {"userPool": {"size": "m6i.2xlarge", "minimum": 2, "maximum": 5}}


def create_complete_cloud() -> Foundation:
    """A foundation of a cloud that does not need them."""
    return dataclasses.replace(sample_foundation(), karpenter=None, load_balancer_controller=None)


@pytest.fixture(scope="module")
def platform() -> Recorder:
    return record_platform(cloud="aws", cluster=SIZES)


def releases(platform: Recorder) -> dict[str, Any]:
    """The inputs of the releases, keyed by the short name of their chart."""
    return {item.inputs["chart"].rpartition("/")[2]: item.inputs for item in platform.of_type(RELEASE)}


def custom_object(platform: Recorder, kind: str, name: str) -> Any:
    (match,) = [
        item.inputs["spec"]
        for item in platform.resources
        if item.type.endswith(f":{kind}") and item.inputs["metadata"]["name"] == name
    ]
    return match


def namespaces(platform: Recorder) -> set[str]:
    return {item.name for item in platform.of_type("kubernetes:core/v1:Namespace")}


def test_they_are_installed_if_the_cloud_needs_them(platform: Recorder) -> None:
    assert releases(platform).keys() >= CHARTS
    assert namespaces(platform) >= NAMESPACES


def test_neither_they_nor_their_namespaces_exist_if_the_cloud_does_not_need_them() -> None:
    recorder, _ = record_program(lambda: cluster.create_platform(stack_context("azure"), create_complete_cloud()))
    assert not releases(recorder).keys() & CHARTS
    assert not namespaces(recorder) & NAMESPACES


def test_cert_manager_issues_certificates_instead_of_each_rendering(platform: Recorder) -> None:
    assert releases(platform)["aws-load-balancer-controller"]["values"]["enableCertManager"] is True


def test_services_can_be_created_while_the_load_balancer_controller_is_down(platform: Recorder) -> None:
    assert releases(platform)["aws-load-balancer-controller"]["values"]["enableServiceMutatorWebhook"] is False


def test_controllers_use_the_resources_that_the_foundation_created_for_them(platform: Recorder) -> None:
    load_balancers = releases(platform)["aws-load-balancer-controller"]["values"]
    assert (load_balancers["vpcId"], load_balancers["region"], load_balancers["clusterName"]) == ("vpc", "here", "c")
    karpenter = releases(platform)["karpenter"]["values"]
    assert karpenter["settings"] == {"clusterName": "c", "interruptionQueue": "interruptions", "isolatedVPC": True}
    for name, values in (("load-balancer-controller", load_balancers), ("karpenter", karpenter)):
        assert values["serviceAccount"]["annotations"] == {"groundwork/principal": name, "role": name}
        assert values["podLabels"] == {"identity": "on"}


def test_they_may_fetch_the_credentials_of_their_identities(platform: Recorder) -> None:
    for namespace in NAMESPACES:
        (policy,) = [
            item.inputs["spec"]
            for item in platform.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
            if (item.inputs["metadata"]["namespace"], item.inputs["metadata"]["name"]) == (namespace, "default")
        ]
        (port,) = [rule["ports"][0]["port"] for rule in policy["egress"] if rule["to"] == [TOKENS]]
        assert port == 80


def test_the_crds_of_karpenter_have_one_owner(platform: Recorder) -> None:
    assert releases(platform)["karpenter"]["skipCrds"] is True
    before = platform.list_dependencies(RELEASE, "karpenter")
    assert (RELEASE, "karpenter-crd") in before


def test_nodes_have_encrypted_disks_and_pods_cannot_get_their_credentials(platform: Recorder) -> None:
    node_class = custom_object(platform, "EC2NodeClass", "groundwork")
    (disk,) = [mapping["ebs"] for mapping in node_class["blockDeviceMappings"]]
    assert (disk["encrypted"], disk["kmsKeyID"]) == (True, "arn:key")
    assert node_class["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert node_class["subnetSelectorTerms"] == [{"id": "subnet-a"}, {"id": "subnet-b"}]
    assert node_class["associatePublicIPAddress"] is False


def test_the_image_of_nodes_is_pinned(platform: Recorder) -> None:
    (image,) = custom_object(platform, "EC2NodeClass", "groundwork")["amiSelectorTerms"]
    assert re.fullmatch(r"al2023@v\d{8}", image["alias"])


@pytest.mark.parametrize(("pool", "cores", "taints"), [("user", "24", []), ("spot", "40", [asdict(SPOT_TAINT)])])
def test_node_pools_have_bounds_and_only_spot_nodes_a_taint(
    platform: Recorder, pool: str, cores: str, taints: list[Any]
) -> None:
    spec = custom_object(platform, "NodePool", pool)
    assert spec["limits"] == {"cpu": cores}
    assert spec["template"]["spec"].get("taints", []) == taints
    assert spec["disruption"]["consolidationPolicy"] == "WhenEmptyOrUnderutilized"


@pytest.mark.parametrize("pool", ["user", "spot"])
def test_karpenter_replaces_nodes_that_differ_from_their_pool_only_in_the_maintenance_window(
    platform: Recorder, pool: str
) -> None:
    """From Monday 02:00, when the window of Sunday 22:00 ends, until the next one."""
    always, outside = custom_object(platform, "NodePool", pool)["disruption"]["budgets"]
    assert always == {"nodes": "10%"}
    assert outside == {"nodes": "0", "reasons": ["Drifted"], "schedule": "0 2 * * 1", "duration": "164h"}


@pytest.mark.parametrize(
    ("size", "cores"), [("t3.medium", 2), ("m6i.large", 2), ("m6i.xlarge", 4), ("m6i.2xlarge", 8), ("c7g.16xlarge", 64)]
)
def test_cores_follow_from_the_size(size: str, cores: int) -> None:
    assert count_cores(size) == cores
