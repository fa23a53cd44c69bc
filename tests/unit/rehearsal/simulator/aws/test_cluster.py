"""What EKS requires of clusters, node groups and pod identities, and what SageMaker requires of a domain.

Proves the rules that depend on existing resources. Not proven: that AWS has these rules. No test calls AWS.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.aws.cloud import ACCOUNT, CLOUD
from rehearsal.simulator.core.circumstances import Circumstances
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import (
    ACCESS_ENTRY,
    AUTOSCALING,
    CLUSTER,
    DOMAIN,
    ENDPOINT,
    STUDIO,
    TEMPLATE,
    Account,
    EksCluster,
    allow,
)


def test_nodes_need_a_role_an_internet_route_and_the_network_add_on(account: Account, eks: EksCluster) -> None:
    with pytest.raises(CloudError, match=r"service principals \[ec2\.amazonaws\.com\] were not found"):
        eks.create_node_group(account.create_role("wrong", "eks.amazonaws.com"))
    with pytest.raises(CloudError, match=r"failed to join .*the role bare lacks the policy AmazonEKSWorker"):
        eks.create_node_group(account.create_role("bare", "ec2.amazonaws.com"))
    role = account.create_role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    with pytest.raises(CloudError, match=r"no route to the internet from the subnet subnet-\w+, .* for ec2, ecr"):
        eks.create_node_group(role)
    eks.create_internet_route()
    with pytest.raises(CloudError, match="NodeCreationFailure: Unhealthy nodes"):
        eks.create_node_group(role)
    eks.create_addon("vpc-cni")
    with pytest.raises(CloudError, match=r"last state: 'DEGRADED', .* InsufficientNumberOfReplicas"):
        eks.create_addon("coredns")
    eks.create_node_group(role)
    eks.create_addon("coredns")
    with pytest.raises(CloudError, match="Cluster has nodegroups attached"):
        account.delete(CLUSTER, "acme")


def test_endpoints_replace_a_route_to_the_internet(account: Account, eks: EksCluster) -> None:
    eks.create_addon("vpc-cni")
    role = account.create_role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    for service in ("ec2", "ecr.api", "ecr.dkr", "s3"):
        with pytest.raises(CloudError, match=f"has no endpoints for .*{service}"):
            eks.create_node_group(role)
        kind = "Gateway" if service == "s3" else "Interface"
        account.create(ENDPOINT, vpcId=eks.vpc, serviceName=f"com.amazonaws.eu-west-1.{service}", vpcEndpointType=kind)
    eks.create_node_group(role)


def test_nodes_need_a_disk_key_that_auto_scaling_may_use(account: Account, eks: EksCluster) -> None:
    eks.create_internet_route()
    eks.create_addon("vpc-cni")
    role = account.create_role("nodes", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy")
    for is_allowed in (False, True):
        named = AUTOSCALING if is_allowed else AUTOSCALING.replace("AutoScaling", "Other")
        statement = allow(
            ["kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"],
            Principal={"AWS": "*"},
            Condition={"StringEquals": {"aws:PrincipalArn": named}},
        )
        key = account.create_key(statement)
        disk = {"deviceName": "/dev/xvda", "ebs": {"kmsKeyId": key}}
        template = account.create(TEMPLATE, name=f"nodes-{is_allowed}", blockDeviceMappings=[disk])
        if is_allowed:
            eks.create_node_group(role, launchTemplate={"id": template, "version": "1"})
        else:
            with pytest.raises(CloudError, match=r"Client\.InternalError: Client error on launch"):
                eks.create_node_group(role, launchTemplate={"id": template, "version": "1"})


def test_a_pod_identity_needs_a_role_that_trusts_eks_and_exists_once(account: Account, eks: EksCluster) -> None:
    pods = ["sts:AssumeRole", "sts:TagSession"]
    role = account.create_role("pods", "pods.eks.amazonaws.com", actions=pods)
    untagged = account.create_role("untagged", "pods.eks.amazonaws.com")
    association = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    pod = {"clusterName": "acme", "namespace": "serving", "serviceAccount": "serving"}
    with pytest.raises(CloudError, match=r"does not allow pods\.eks\.amazonaws\.com"):
        account.create(association, **pod, roleArn=untagged)
    with pytest.raises(CloudError, match=r"does not allow pods\.eks\.amazonaws\.com"):
        eks.create_addon("vpc-cni", podIdentityAssociations=[{"roleArn": untagged, "serviceAccount": "aws-node"}])
    first = account.create(association, **pod, roleArn=role)
    with pytest.raises(CloudError, match=f"ResourceInUseException: Association already exists: {first}"):
        account.create(association, **pod, roleArn=role)
    with pytest.raises(CloudError, match="No cluster found for name: other"):
        account.create(association, **{**pod, "clusterName": "other"}, roleArn=role)


@pytest.mark.parametrize("bootstrap", [True, False])
def test_a_cluster_has_one_access_entry_for_each_role(account: Account, bootstrap: bool) -> None:
    network = {"subnetIds": account.create_subnets(account.create_vpc())}
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": bootstrap}
    role = account.create_role("cluster", "eks.amazonaws.com")
    account.create(CLUSTER, name="acme", roleArn=role, vpcConfig=network, accessConfig=access)
    creator = {"clusterName": "acme", "principalArn": f"arn:aws:iam::{ACCOUNT}:role/rehearsal"}
    if bootstrap:
        with pytest.raises(CloudError, match="access entry resource is already in use on this cluster"):
            account.create("aws:eks/accessEntry:AccessEntry", **creator)
        return
    policy = {"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"}
    grant = {**creator, **policy, "accessScope": {"type": "cluster"}}
    with pytest.raises(CloudError, match="The specified principalArn could not be found"):
        account.create("aws:eks/accessPolicyAssociation:AccessPolicyAssociation", **grant)
    account.create("aws:eks/accessEntry:AccessEntry", **creator)
    account.create("aws:eks/accessPolicyAssociation:AccessPolicyAssociation", **grant)


@pytest.mark.parametrize(
    ("zones", "service", "principal", "message"),
    [
        ("aa", "172.20.0.0/16", "eks.amazonaws.com", "in at least two different AZs"),
        ("ab", "10.0.128.0/20", "eks.amazonaws.com", "overlaps the VPC's CIDR"),
        ("ab", "172.20.0.0/16", "ec2.amazonaws.com", "could not be assumed because it does not exist or"),
    ],
)
def test_a_cluster_needs_two_zones_free_addresses_and_a_role(
    account: Account, zones: str, service: str, principal: str, message: str
) -> None:
    network = {"subnetIds": account.create_subnets(account.create_vpc(), zones)}
    role = account.create_role("cluster", principal)
    with pytest.raises(CloudError, match=message):
        account.create(
            CLUSTER,
            name="acme",
            roleArn=role,
            vpcConfig=network,
            kubernetesNetworkConfig={"serviceIpv4Cidr": service},
        )


def test_a_sagemaker_domain_needs_a_role_that_trusts_it(account: Account) -> None:
    vpc = account.create_vpc()
    domain = {**STUDIO, "vpcId": vpc, "subnetIds": account.create_subnets(vpc)}
    settings = {"executionRole": account.create_role("other", "ec2.amazonaws.com")}
    with pytest.raises(CloudError, match=r'service principal "sagemaker\.amazonaws\.com"'):
        account.create(DOMAIN, **{**domain, "defaultUserSettings": settings})


def test_an_updated_launch_template_has_a_new_version(account: Account) -> None:
    id_ = account.create(TEMPLATE, name="nodes")
    assert account.get_outputs(TEMPLATE, id_)["latestVersion"] == 1
    changed = Values({"name": "nodes", "description": "now with a description"})
    account.simulation.update("urn::resource-1", TEMPLATE, id_, changed, Values(), preview=False)
    assert account.get_outputs(TEMPLATE, id_)["latestVersion"] == 2


@pytest.mark.usefixtures("eks")
def test_an_administrator_named_in_the_settings_exists_outside_the_stack(account: Account) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/ml-admins"
    inputs = {"clusterName": "acme", "principalArn": role}
    with pytest.raises(CloudError, match="role/ml-admins cannot be found"):
        account.create(ACCESS_ENTRY, **inputs)
    account.simulation = Simulation(CLOUD, account.state, circumstances=Circumstances(principals=[role]))
    account.simulation.configure({"region": "eu-west-1"})
    account.create(ACCESS_ENTRY, **inputs)
