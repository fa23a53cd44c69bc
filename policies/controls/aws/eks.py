"""Amazon EKS: access to the API server, authentication, logs, encryption, and the instance metadata of nodes."""

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, Truth, as_list
from policies.controls.addresses import expect_narrow_ranges
from policies.controls.aws.customer_keys import expect_customer_key
from policies.engine.expectations import (
    IS_FALSE,
    IS_TRUE,
    Requirement,
    any_matches,
    at_most,
    expect,
    fail_if_all,
    one_of,
    pass_if_any,
)
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

CLUSTER = ("aws:eks/cluster:Cluster",)
NODES = (
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/instance:Instance",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    "aws:ec2/launchConfiguration:LaunchConfiguration",
)
NODE_GROUP = ("aws:eks/nodeGroup:NodeGroup",)
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@control(
    "aws-eks-public-endpoint",
    title="The EKS API server is private or limited to named ranges",
    severity="critical",
    types=CLUSTER,
    remedy="set vpcConfig.endpointPublicAccess to false, or list narrow publicAccessCidrs",
    references=("CKV_AWS_38", "AWS-0041"),
)
def public_endpoint(props: Props) -> Findings:
    closed = expect(props, "vpcConfig.endpointPublicAccess", IS_FALSE, "the endpoint is public")
    yield from pass_if_any([closed, expect_narrow_ranges(props, "vpcConfig.publicAccessCidrs")])


@control(
    "aws-eks-private-endpoint",
    title="EKS nodes reach the API server inside the VPC",
    severity="high",
    types=CLUSTER,
    remedy="set vpcConfig.endpointPrivateAccess to true",
)
def private_endpoint(props: Props) -> Findings:
    yield from expect(
        props, "vpcConfig.endpointPrivateAccess", IS_TRUE, "nodes reach the API server through the Internet"
    )


@control(
    "aws-eks-secrets-encryption",
    title="EKS encrypts Kubernetes secrets with a customer-managed key",
    severity="high",
    types=CLUSTER,
    remedy="set encryptionConfig.provider.keyArn and encryptionConfig.resources to secrets",
    references=("CKV_AWS_58", "FSBP EKS.3", "AWS-0039", "CIS-EKS 5.3.1"),
)
def secrets_encryption(props: Props) -> Findings:
    yield from expect_customer_key(
        props, "encryptionConfig.provider.keyArn", "everyone who can read etcd can read the secrets"
    )
    yield from expect(
        props,
        "encryptionConfig.resources",
        Requirement("must include secrets", lambda value: "secrets" in as_list(value) or UNKNOWN in as_list(value)),
        "secrets are not encrypted",
    )


@control(
    "aws-eks-control-plane-logs",
    title="EKS records every log type of its control plane",
    severity="medium",
    types=CLUSTER,
    remedy="list api, audit, authenticator, controllerManager and scheduler in enabledClusterLogTypes",
    references=("CKV_AWS_37", "FSBP EKS.8", "AWS-0038", "CIS-EKS 2.1.1"),
)
def control_plane_logs(props: Props) -> Findings:
    path = "enabledClusterLogTypes"
    enabled = look_up(props, path)
    missing = [log for log in LOG_TYPES if log not in as_list(enabled)]
    if missing and UNKNOWN in as_list(enabled):
        yield Undecided(path)
    elif missing:
        yield f"{path} must include {', '.join(missing)}"


@control(
    "aws-eks-access-entries",
    title="EKS access is granted through access entries",
    severity="medium",
    types=CLUSTER,
    remedy="set accessConfig.authenticationMode to API; it can't be changed back to CONFIG_MAP",
    references=("CIS-EKS 4.1.7", "CIS-EKS 5.5.1"),
)
def access_entries(props: Props) -> Findings:
    path = "accessConfig.authenticationMode"
    yield from expect(props, path, one_of("API"), "the aws-auth ConfigMap can grant access that IAM does not show")


@control(
    "aws-eks-node-metadata-tokens",
    title="The metadata service of nodes requires session tokens (IMDSv2)",
    severity="high",
    types=NODES,
    remedy="set metadataOptions.httpTokens to required",
    references=("CKV_AWS_79", "FSBP EC2.170", "AWS-0130"),
)
def node_metadata_tokens(props: Props) -> Findings:
    risk = "a server-side request forgery can read the node's credentials"
    required = expect(props, "metadataOptions.httpTokens", one_of("required"), risk)
    yield from pass_if_any([_expect_no_metadata(props, risk), required])


@control(
    "aws-eks-node-metadata-hops",
    title="Pods cannot read the credentials of their node",
    severity="medium",
    types=NODES,
    remedy="leave metadataOptions.httpPutResponseHopLimit at 1",
    references=("CKV_AWS_341",),
)
def node_metadata_hops(props: Props) -> Findings:
    path = "metadataOptions.httpPutResponseHopLimit"
    risk = "pods can read the node's credentials from the metadata service"
    near = expect(props, path, at_most(1), risk, absent_passes=True)
    yield from pass_if_any([_expect_no_metadata(props, risk), near])


def _expect_no_metadata(props: Props, risk: str) -> Findings:
    yield from expect(props, "metadataOptions.httpEndpoint", one_of("disabled"), risk)


@control(
    "aws-eks-node-ssh",
    title="Nodes do not accept SSH from everywhere",
    severity="high",
    types=NODE_GROUP,
    remedy="remove remoteAccess, or name remoteAccess.sourceSecurityGroupIds; Session Manager needs neither",
    references=("CKV_AWS_100",),
)
def node_ssh(props: Props) -> Findings:
    opened = any_matches([look_up(props, "remoteAccess.ec2SshKey")], lambda key: key is not ABSENT)
    sources = look_up(props, "remoteAccess.sourceSecurityGroupIds")
    groups = any_matches(as_list(sources), lambda group: isinstance(group, str) and group != "")
    unlimited: Truth = UNKNOWN if groups is UNKNOWN else not groups
    yield from fail_if_all("remoteAccess", [opened, unlimited], "must not open SSH to every address")
