"""Amazon EKS: version and support of clusters, and the disks, addresses and repair of nodes."""

from collections.abc import Mapping
from typing import Any

from kernel.support_calendars import EKS
from policies.controls.cluster_versions import expect_supported
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import IS_TRUE, Requirement, expect, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

CLUSTER = ("aws:eks/cluster:Cluster",)
NODE_GROUP = ("aws:eks/nodeGroup:NodeGroup",)
TEMPLATE = ("aws:ec2/launchTemplate:LaunchTemplate",)
MACHINES = (
    "aws:ec2/instance:Instance",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    "aws:ec2/launchConfiguration:LaunchConfiguration",
)


@control(
    "aws-eks-version",
    title="EKS clusters run a supported version of Kubernetes",
    severity="high",
    types=CLUSTER,
    remedy="raise version, one minor version at a time",
    references=("FSBP EKS.2",),
)
def version(props: Props) -> Findings:
    yield from expect_supported(props, "version", EKS)


@control(
    "aws-eks-standard-support",
    title="EKS clusters do not use extended support at extra cost",
    severity="low",
    types=CLUSTER,
    remedy="set upgradePolicy.supportType to STANDARD",
)
def standard_support(props: Props) -> Findings:
    path = "upgradePolicy.supportType"
    yield from expect(props, path, one_of("STANDARD"), "a cluster that is not upgraded costs six times as much")


@control(
    "aws-eks-deletion-protection",
    title="EKS clusters are protected from deletion",
    severity="low",
    types=CLUSTER,
    remedy="set deletionProtection to true",
    settings={"exemptEnvironments": EXEMPT},
)
def deletion_protection(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    yield from expect(props, "deletionProtection", IS_TRUE, "one wrong command deletes the cluster")


@control(
    "aws-eks-node-zones",
    title="EKS nodes are in several subnets",
    severity="medium",
    types=NODE_GROUP,
    remedy="list subnets in at least two zones in subnetIds; they cannot be changed later",
)
def node_zones(props: Props) -> Findings:
    several = Requirement(
        "must list at least two subnets", lambda subnets: isinstance(subnets, list) and len(subnets) >= 2
    )
    yield from expect(props, "subnetIds", several, "the loss of one zone stops every pod")


@control(
    "aws-eks-node-repair",
    title="EKS replaces broken nodes",
    severity="low",
    types=NODE_GROUP,
    remedy="set nodeRepairConfig.enabled to true",
)
def node_repair(props: Props) -> Findings:
    yield from expect(props, "nodeRepairConfig.enabled", IS_TRUE, "pods stay on a broken node until somebody notices")


@control(
    "aws-eks-node-disks",
    title="The disks of nodes are encrypted",
    severity="medium",
    types=TEMPLATE,
    remedy="set ebs.encrypted to true in each of blockDeviceMappings",
)
def node_disks(props: Props) -> Findings:
    encrypted = Requirement("must be true", lambda value: value is True or value == "true")
    path = "blockDeviceMappings[*].ebs.encrypted"
    yield from expect(props, path, encrypted, "images and volumes of pods are stored without encryption")


@control(
    "aws-eks-node-public-ip",
    title="Nodes have no public addresses",
    severity="high",
    types=TEMPLATE + MACHINES,
    remedy="leave networkInterfaces.associatePublicIpAddress unset or set it to false",
    references=("CKV_AWS_88", "FSBP EC2.25"),
)
def node_public_ip(props: Props) -> Findings:
    private = Requirement("must be false", lambda value: value is False or value == "false")
    for path in ("networkInterfaces[*].associatePublicIpAddress", "associatePublicIpAddress"):
        yield from expect(props, path, private, "every node has a public address", absent_passes=True)
