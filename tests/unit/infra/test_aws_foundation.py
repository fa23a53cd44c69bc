"""The foundation on AWS, declared against the simulated account.

Proves what resource models and policies cannot: that settings, names, tags and the access table reach the right
resources. tests/unit/rehearsal/simulator/aws/test_*.py prove what AWS would refuse; the policy pack's own tests prove
what it forbids.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pulumi
import pytest

from infra.access import WORKLOADS, Store
from infra.aws.network import SubnetBlocks
from rehearsal.simulator.aws import network as simulated_network
from rehearsal.simulator.aws.cloud import ACCOUNT
from rehearsal.simulator.aws.rules import CALLER_ROLES
from rehearsal.simulator.core.circumstances import Person
from rehearsal.simulator.core.movement import Move, apply_moves
from rehearsal.simulator.core.state_store import ResourceRecord
from tests.support.aws_foundation import ALERTS, DeclaredStack, declare
from tests.support.moved_cloud import PlanningRecorder
from tests.support.recording import Recorder, is_secret, resolve, stack_context

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dev() -> DeclaredStack:
    return declare(**ALERTS, tags={"team": "recommendations"}, account="111122223333")


@pytest.fixture(scope="module")
def prod() -> DeclaredStack:
    return declare("prod", stack="a" * 100, organization="abcdefgh", **ALERTS)  # the longest names


def test_every_taggable_resource_has_the_stacks_tags(dev: DeclaredStack) -> None:
    tags = {**stack_context("aws").naming.tags, "team": "recommendations"}
    taggable = [resource for resource in dev.recorder.resources if _supports_tags(resource.type)]
    untagged = [f"{one.type} {one.name}" for one in taggable if not tags.items() <= one.inputs.get("tags", {}).items()]
    assert taggable
    assert not untagged


def test_the_provider_is_pinned_to_the_account_of_the_settings(dev: DeclaredStack, prod: DeclaredStack) -> None:
    assert dev.recorder.single("pulumi:providers:aws").inputs["allowedAccountIds"] == '["111122223333"]'
    assert "allowedAccountIds" not in prod.recorder.single("pulumi:providers:aws").inputs


def _supports_tags(type_: str) -> bool:
    package, module, kind = type_.split(":")
    if package != "aws":
        return False
    initializer: Callable[..., None] = getattr(import_module(f"pulumi_aws.{module.split('/')[0]}"), kind)._internal_init
    return "tags" in inspect.signature(initializer).parameters


def test_longest_names_fit_in_production_too(prod: DeclaredStack) -> None:
    """The resource models reject names that AWS rejects, so declaring the stack is the proof."""
    assert prod.single("aws:s3/bucket:Bucket", "audit")["bucket"].startswith("abcdefgh-gw-aaaaaaaaaaaa-")


def test_nodes_reach_the_services_of_aws_inside_the_network(dev: DeclaredStack) -> None:
    """Services that Karpenter, the AWS Load Balancer Controller, the pod identity agent and pods call."""
    called = {"ec2", "eks", "eks-auth", "elasticloadbalancing", "kms", "secretsmanager", "sqs", "ssm", "sts"}
    services = {
        one.inputs["serviceName"].rpartition(".")[2]
        for one in dev.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")
        if one.inputs["vpcEndpointType"] == "Interface"
    }
    assert called <= services


def test_bounds_of_the_pools_reach_the_node_groups() -> None:
    stack = declare(cluster={"userPool": {"size": "m7g.2xlarge", "minimum": 3, "maximum": 7}})
    group = stack.single("aws:eks/nodeGroup:NodeGroup", "cluster-user")
    assert group["scalingConfig"] == {"minSize": 3, "maxSize": 7, "desiredSize": 3}
    assert (group["instanceTypes"], group["amiType"]) == (["m7g.2xlarge"], "AL2023_ARM_64_STANDARD")
    system, user = stack.foundation.cluster.node_pools
    assert (user.name, user.minimum, user.maximum, len(user.zones)) == ("user", 3, 7, 3)
    taints = stack.single("aws:eks/nodeGroup:NodeGroup", "cluster-system")["taints"]
    assert [(taint.key, taint.value) for taint in system.taints] == [(one["key"], one["value"]) for one in taints]
    assert taints[0]["effect"] == "NO_SCHEDULE"


def set_desired_size(recorder: Recorder, pool: str, size: int) -> None:
    """Change the number of nodes as an autoscaler does."""
    (group,) = [
        record
        for record in recorder.state.all("aws:eks/nodeGroup:NodeGroup")
        if record.outputs["nodeGroupName"].startswith(f"{pool}-")
    ]
    inputs = {**group.inputs, "scalingConfig": {**group.inputs["scalingConfig"], "desiredSize": size}}
    recorder.state.put(replace(group, inputs=inputs))


def test_a_change_of_the_bounds_keeps_the_autoscalers_number_of_nodes() -> None:
    """EKS changes the three numbers in one request, and rejects a minimum above the desired number."""
    recorder, groups = declare().recorder, ("aws:eks/nodeGroup:NodeGroup", "cluster-user")
    set_desired_size(recorder, "user", 7)
    for minimum, maximum, expected in ((2, 12, 7), (8, 12, 8), (2, 5, 5)):
        stack = declare(recorder=recorder, cluster={"userPool": {"minimum": minimum, "maximum": maximum}})
        sent = {"minSize": minimum, "maxSize": maximum, "desiredSize": expected}
        assert stack.single(*groups)["scalingConfig"] == sent
        assert not recorder.requests[groups].ignoreChanges
    declare(recorder=recorder, cluster={"userPool": {"minimum": 2, "maximum": 5}})
    assert list(recorder.requests[groups].ignoreChanges) == ["scalingConfig.desiredSize"], (
        "without a change there is nothing to send"
    )


def test_a_public_kubernetes_api_is_open_only_to_the_authorized_ranges() -> None:
    stack = declare(cluster={"authorizedRanges": ["203.0.113.0/24"]})
    access = stack.single("aws:eks/cluster:Cluster", "cluster")["vpcConfig"]
    assert (access["endpointPrivateAccess"], access["endpointPublicAccess"]) == (True, True)
    assert access["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert stack.single("aws:ec2/securityGroup:SecurityGroup", "cluster-api")["ingress"] == []
    assert not stack.of_type("aws:ec2transitgateway/vpcAttachment:VpcAttachment")


ADMINS = "arn:aws:iam::444455556666:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admins"


@pytest.fixture(scope="module")
def private() -> DeclaredStack:
    """A stack with a private API, whose runners are behind a transit gateway."""
    cluster = {
        "privateAccessFrom": ["10.90.0.0/16", "192.168.240.0/24"],
        "admins": [ADMINS, f"arn:aws:iam::{ACCOUNT}:role/rehearsal"],
    }
    return declare(network={"hub": "tgw-0123456789abcdef0", "cidr": "192.168.0.0/16"}, cluster=cluster)


def test_a_private_kubernetes_api_admits_the_declared_ranges(private: DeclaredStack) -> None:
    access = private.single("aws:eks/cluster:Cluster", "cluster")["vpcConfig"]
    assert (access["endpointPrivateAccess"], access["endpointPublicAccess"]) == (True, False)
    assert access["securityGroupIds"] == [private.get_id("aws:ec2/securityGroup:SecurityGroup", "cluster-api")]
    (rule,) = private.single("aws:ec2/securityGroup:SecurityGroup", "cluster-api")["ingress"]
    assert rule["cidrBlocks"] == ["10.90.0.0/16", "192.168.240.0/24"]
    assert (rule["protocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)


def test_other_private_networks_are_behind_the_hubs_transit_gateway(private: DeclaredStack) -> None:
    """The stack's own network is 192.168.0.0/16, for which EC2 has a local route."""
    attachment = private.single("aws:ec2transitgateway/vpcAttachment:VpcAttachment", "network-hub")
    assert len(attachment["subnetIds"]) == 3
    routes = private.single("aws:ec2/routeTable:RouteTable", "network-private-1")["routes"]
    gateways = {route["cidrBlock"]: route.get("transitGatewayId") for route in routes}
    assert gateways == {
        "0.0.0.0/0": None,
        "10.0.0.0/8": "tgw-0123456789abcdef0",
        "172.16.0.0/12": "tgw-0123456789abcdef0",
    }


def test_the_listed_roles_and_the_one_that_deploys_first_administer_the_cluster(private: DeclaredStack) -> None:
    """Each once: EKS rejects a second entry for a role, and creates one for the creator unless disabled."""
    access = private.single("aws:eks/cluster:Cluster", "cluster")["accessConfig"]
    assert access["bootstrapClusterCreatorAdminPermissions"] is False
    for type_ in ("aws:eks/accessEntry:AccessEntry", "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"):
        people = [one for one in private.of_type(type_) if one.inputs.get("type") != "EC2_LINUX"]
        principals = sorted(resource.inputs["principalArn"] for resource in people)
        assert principals == [f"arn:aws:iam::{ACCOUNT}:role/rehearsal", ADMINS]


def test_a_deployment_by_another_identity_changes_no_access(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = declare().recorder
    monkeypatch.setitem(CALLER_ROLES, Person.DEPLOYER, "somebody-else")
    entries = declare(recorder=recorder).of_type("aws:eks/accessEntry:AccessEntry")
    people = [entry.inputs["principalArn"] for entry in entries if entry.inputs.get("type") != "EC2_LINUX"]
    assert people == [f"arn:aws:iam::{ACCOUNT}:role/rehearsal"]


def test_add_ons_have_the_version_of_the_clusters_kubernetes(dev: DeclaredStack) -> None:
    version = dev.single("aws:eks/cluster:Cluster", "cluster")["version"]
    addons = {addon.inputs["addonName"]: addon.inputs["addonVersion"] for addon in dev.of_type("aws:eks/addon:Addon")}
    assert set(addons.values()) == {f"v{version}.0-eksbuild.1"}
    assert "metrics-server" in addons


def test_nodes_get_the_newest_image_and_are_replaced_when_they_are_unhealthy(dev: DeclaredStack) -> None:
    for group in dev.of_type("aws:eks/nodeGroup:NodeGroup"):
        assert group.inputs["releaseVersion"].startswith(f"{group.inputs['version']}.")
        assert group.inputs["nodeRepairConfig"] == {"enabled": True}


def test_names_that_stay_in_use_after_deletion_are_not_used_twice(prod: DeclaredStack) -> None:
    """A deleted secret can be restored for weeks, and a final snapshot remains: a stack of the same name finds both."""
    snapshot = prod.single("aws:rds/instance:Instance", "database")["finalSnapshotIdentifier"]
    secret = prod.single("aws:secretsmanager/secret:Secret", "tracking-database-password")["name"]
    for name, suffix in ((snapshot, "database-snapshot"), (secret, "tracking-database-password")):
        (random,) = prod.of_type("random:index/randomId:RandomId", suffix)
        assert name.endswith(f"-{random.outputs['hex']}")


def test_disks_are_deleted_before_their_driver_and_nodes(dev: DeclaredStack) -> None:
    """Resources that use the cluster depend on one whose deletion takes some time, and which depends on these."""
    hold = dev.recorder.requests["time:index/sleep:Sleep", "cluster-disks"]
    assert dev.single("time:index/sleep:Sleep", "cluster-disks")["destroyDuration"] == "5m"
    goes_later = {urn.rpartition("::")[2] for urn in hold.dependencies}
    assert {"cluster-aws-ebs-csi-driver", "cluster-system", "cluster-user", "cluster-admin-propagation"} <= goes_later


def test_keys_remain_with_the_data_that_they_encrypt(dev: DeclaredStack, prod: DeclaredStack) -> None:
    for stack, remains in ((dev, False), (prod, True)):
        for name in ("secrets-key", "observability-key"):
            assert stack.recorder.requests["aws:kms/key:Key", name].retainOnDelete is remains


@pytest.mark.parametrize(
    "group", ["/aws/eks/acme-gw-dev-cluster/cluster", "/aws/rds/instance/acme-gw-dev-database/postgresql"]
)
def test_a_log_group_that_a_service_created_again_is_reported_before_anything_is_touched(group: str) -> None:
    """EKS writes its last logs after its log group is deleted, and then creates one itself."""
    recorder, type_ = Recorder(), "aws:cloudwatch/logGroup:LogGroup"
    recorder.state.put(ResourceRecord(type_, group, "", 0, {"name": group}, {"arn": f"arn:{group}"}))
    with pytest.raises(pulumi.RunError, match=f"delete-log-group --log-group-name {group} --region eu-west-1"):
        declare(recorder=recorder)


def test_a_stack_keeps_its_zones_when_a_zone_is_added_to_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(simulated_network.ZONE_LETTERS, "eu-west-1", "bcd")
    recorder = declare().recorder
    monkeypatch.setitem(simulated_network.ZONE_LETTERS, "eu-west-1", "abcd")
    declare(recorder=recorder)  # fails if it would replace a subnet


def test_the_databases_disk_grows_into_striped_storage() -> None:
    small = declare(database={"storageGb": 100})
    assert small.single("aws:rds/instance:Instance", "database").get("iops") is None
    large = declare(recorder=small.recorder, database={"storageGb": 500})  # fails if RDS would reject it
    assert large.single("aws:rds/instance:Instance", "database")["iops"] == 12000


def test_the_next_larger_size_is_accepted_after_the_databases_disk_has_grown_to_its_maximum() -> None:
    recorder, type_ = PlanningRecorder(), "aws:rds/instance:Instance"
    assert declare(recorder=recorder).single(type_, "database")["maxAllocatedStorage"] == 128
    (disk,) = recorder.state.all(type_)
    apply_moves(recorder.state, [Move(disk, "allocatedStorage", 128)])
    for size, refused in ((70, True), (71, False)):  # the settings refuse 70
        recorder.refresh()
        declare(recorder=recorder, database={"storageGb": size})
        assert any("must be increased by at least 10 percent" in each for each in recorder.refusals) is refused
    (step,) = [each for each in recorder.steps if each.type == type_]
    assert (step.operation, step.changed) == ("update", ["maxAllocatedStorage"])


def test_production_survives_the_loss_of_a_zone(dev: DeclaredStack, prod: DeclaredStack) -> None:
    assert len(dev.of_type("aws:ec2/natGateway:NatGateway")) == 1
    assert len({one.inputs["subnetId"] for one in prod.of_type("aws:ec2/natGateway:NatGateway")}) == 3
    assert [stack.single("aws:rds/instance:Instance", "database")["multiAz"] for stack in (dev, prod)] == [False, True]


def test_secrets_are_secret_and_the_kubeconfig_contains_none(dev: DeclaredStack) -> None:
    cluster, database = dev.foundation.cluster, dev.foundation.tracking_db
    assert is_secret(database.password)
    assert is_secret(cluster.kubeconfig)
    kubeconfig: Any = cluster.kubeconfig
    (user,) = json.loads(resolve(kubeconfig))["users"]
    assert user["user"].keys() == {"exec"}


def test_stores_have_the_endpoints_that_network_policies_use(dev: DeclaredStack) -> None:
    endpoints = {
        store: (list(resolve(pulumi.Output.from_input(one.cidrs))), one.port)
        for store, one in dev.foundation.endpoints.items()
    }
    gateway = dev.of_type("aws:ec2/vpcEndpoint:VpcEndpoint", "network-s3")[0]
    data = sorted(one.inputs["cidrBlock"] for one in dev.of_type("aws:ec2/subnet:Subnet") if "data" in one.name)
    assert endpoints.keys() == set(Store)
    assert endpoints[Store.ARTIFACTS] == (gateway.outputs["cidrBlocks"], 443)
    assert endpoints[Store.TRACKING_DB] == (data, 5432)
    assert dev.foundation.identities.keys() == {workload.name for workload in WORKLOADS}


def test_retention_is_rounded_up_to_a_period_of_cloudwatch(dev: DeclaredStack) -> None:
    assert {group.inputs["retentionInDays"] for group in dev.of_type("aws:cloudwatch/logGroup:LogGroup")} == {60}


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "172.16.0.0/17", "192.168.16.0/20"])
def test_subnets_share_the_network_without_overlap(cidr: str) -> None:
    blocks = SubnetBlocks.split(cidr)
    subnets = [ipaddress.IPv4Network(one) for one in (*blocks.private, *blocks.public, *blocks.data)]
    assert len(subnets) == 9
    assert all(one.subnet_of(ipaddress.IPv4Network(cidr)) for one in subnets)
    assert not any(one.overlaps(other) for one in subnets for other in subnets if one is not other)
