"""When EKS starts a cluster, its nodes and its pods' identities, and SageMaker its studio.

Proves the rules in rehearsal/simulator/aws that depend on what exists. That AWS has them is not proven: nothing here
has met the real cloud.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import AUTOSCALING, CLUSTER, DOMAIN, STUDIO, TEMPLATE, Account, Kubernetes, allow


def test_nodes_join_with_policy_network_and_way_out(account: Account, kubernetes: Kubernetes) -> None:
    with pytest.raises(CloudError, match=r"service principals \[ec2\.amazonaws\.com\] were not found"):
        kubernetes.nodes(account.role("wrong", "eks.amazonaws.com"))
    with pytest.raises(CloudError, match="NodeCreationFailure: Instances failed to join"):
        kubernetes.nodes(account.role("bare", "ec2.amazonaws.com"))
    role = account.role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    with pytest.raises(CloudError, match="NodeCreationFailure: Instances failed to join"):
        kubernetes.nodes(role)
    kubernetes.way_out()
    with pytest.raises(CloudError, match="NodeCreationFailure: Unhealthy nodes"):
        kubernetes.nodes(role)
    kubernetes.addon("vpc-cni")
    with pytest.raises(CloudError, match="InsufficientNumberOfReplicas"):
        kubernetes.addon("coredns")
    kubernetes.nodes(role)
    kubernetes.addon("coredns")
    with pytest.raises(CloudError, match="Cluster has nodegroups attached"):
        account.delete(CLUSTER, "acme")


def test_nodes_start_when_auto_scaling_may_open_their_disks(account: Account, kubernetes: Kubernetes) -> None:
    kubernetes.way_out()
    kubernetes.addon("vpc-cni")
    role = account.role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    for opened in (False, True):
        named = allow(["kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"], Principal={"AWS": AUTOSCALING})
        key = account.key(*([named] if opened else []))
        disk = {"deviceName": "/dev/xvda", "ebs": {"kmsKeyId": key}}
        template = account.create(TEMPLATE, name=f"nodes-{opened}", blockDeviceMappings=[disk])
        if opened:
            kubernetes.nodes(role, launchTemplate={"id": template})
        else:
            with pytest.raises(CloudError, match=r"Client\.InternalError: Client error on launch"):
                kubernetes.nodes(role, launchTemplate={"id": template})


def test_pods_take_roles_that_trust_them_once(account: Account, kubernetes: Kubernetes) -> None:
    pods = ["sts:AssumeRole", "sts:TagSession"]
    role = account.role("pods", "pods.eks.amazonaws.com", actions=pods)
    untagged = account.role("untagged", "pods.eks.amazonaws.com")
    association = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    pod = {"clusterName": "acme", "namespace": "serving", "serviceAccount": "serving"}
    with pytest.raises(CloudError, match=r"does not allow pods\.eks\.amazonaws\.com"):
        account.create(association, **pod, roleArn=untagged)
    with pytest.raises(CloudError, match=r"does not allow pods\.eks\.amazonaws\.com"):
        kubernetes.addon("vpc-cni", podIdentityAssociations=[{"roleArn": untagged, "serviceAccount": "aws-node"}])
    account.create(association, **pod, roleArn=role)
    with pytest.raises(CloudError, match="ResourceInUseException: Association already exists"):
        account.create(association, **pod, roleArn=role)
    with pytest.raises(CloudError, match="No cluster found for name: other"):
        account.create(association, **{**pod, "clusterName": "other"}, roleArn=role)


@pytest.mark.parametrize(
    ("zones", "service", "principal", "words"),
    [
        ("aa", "172.20.0.0/16", "eks.amazonaws.com", "in at least two different AZs"),
        ("ab", "10.0.128.0/20", "eks.amazonaws.com", "overlaps the VPC's CIDR"),
        ("ab", "172.20.0.0/16", "ec2.amazonaws.com", "could not be assumed because it does not exist or"),
    ],
)
def test_a_cluster_has_two_zones_free_addresses_and_its_role(
    account: Account, zones: str, service: str, principal: str, words: str
) -> None:
    network = {"subnetIds": account.subnets(account.vpc(), zones)}
    role = account.role("cluster", principal)
    with pytest.raises(CloudError, match=words):
        account.create(
            CLUSTER,
            name="acme",
            roleArn=role,
            vpcConfig=network,
            kubernetesNetworkConfig={"serviceIpv4Cidr": service},
        )


def test_studio_needs_a_role_that_trusts_it(account: Account) -> None:
    vpc = account.vpc()
    domain = {**STUDIO, "vpcId": vpc, "subnetIds": account.subnets(vpc)}
    settings = {"executionRole": account.role("other", "ec2.amazonaws.com")}
    with pytest.raises(CloudError, match=r'service principal "sagemaker\.amazonaws\.com"'):
        account.create(DOMAIN, **{**domain, "defaultUserSettings": settings})


def test_a_changed_launch_template_is_a_new_version(account: Account) -> None:
    id_ = account.create(TEMPLATE, name="nodes")
    assert account.outputs(TEMPLATE, id_)["latestVersion"] == 1
    changed = Values({"name": "nodes", "description": "now with a description"})
    account.simulation.update("urn::it-1", TEMPLATE, id_, changed, Values(), preview=False)
    assert account.outputs(TEMPLATE, id_)["latestVersion"] == 2
