"""Amazon EKS: who reaches the API server, who they are, what is logged and encrypted, and what nodes expose."""

from policies.addresses import narrow_ranges
from policies.control import control
from policies.props import (
    UNKNOWN,
    Props,
    Undecided,
    Verdicts,
    any_of,
    expect,
    expect_set,
    is_false,
    is_true,
    items,
    lookup,
    one_of,
)

CLUSTER = ("aws:eks/cluster:Cluster",)
NODES = ("aws:ec2/launchTemplate:LaunchTemplate",)
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@control(
    "aws-eks-public-endpoint",
    title="The EKS API server is private or limited to named ranges",
    severity="critical",
    types=CLUSTER,
    remedy="set vpcConfig.endpointPublicAccess to false, or list narrow publicAccessCidrs",
    anchors=("CKV_AWS_39", "CKV_AWS_38", "FSBP EKS.1", "AWS-0040", "AWS-0041"),
)
def public_endpoint(props: Props) -> Verdicts:
    closed = expect(props, "vpcConfig.endpointPublicAccess", is_false, "the endpoint is public")
    yield from any_of([closed, narrow_ranges(props, "vpcConfig.publicAccessCidrs")])


@control(
    "aws-eks-private-endpoint",
    title="EKS nodes reach the API server inside the VPC",
    severity="high",
    types=CLUSTER,
    remedy="set vpcConfig.endpointPrivateAccess to true",
    anchors=("CIS-EKS 5.4.2",),
)
def private_endpoint(props: Props) -> Verdicts:
    yield from expect(props, "vpcConfig.endpointPrivateAccess", is_true, "nodes leave the VPC to reach it")


@control(
    "aws-eks-secrets-encryption",
    title="EKS encrypts Kubernetes secrets with a key of ours",
    severity="high",
    types=CLUSTER,
    remedy="set encryptionConfig.provider.keyArn and encryptionConfig.resources to secrets",
    anchors=("CKV_AWS_58", "FSBP EKS.3", "AWS-0039", "CIS-EKS 5.3.1"),
)
def secrets_encryption(props: Props) -> Verdicts:
    yield from expect_set(props, "encryptionConfig.provider.keyArn", "whoever reads etcd reads the secrets")
    yield from expect(
        props,
        "encryptionConfig.resources",
        lambda resources: "secrets" in items(resources) or UNKNOWN in items(resources),
        "secrets are not among what is encrypted",
    )


@control(
    "aws-eks-control-plane-logs",
    title="EKS keeps every log of its control plane",
    severity="medium",
    types=CLUSTER,
    remedy="list api, audit, authenticator, controllerManager and scheduler in enabledClusterLogTypes",
    anchors=("CKV_AWS_37", "FSBP EKS.8", "AWS-0038", "CIS-EKS 2.1.1"),
)
def control_plane_logs(props: Props) -> Verdicts:
    path = "enabledClusterLogTypes"
    enabled = lookup(props, path)
    missing = [log for log in LOG_TYPES if log not in items(enabled)]
    if missing and UNKNOWN in items(enabled):
        yield Undecided(path)
    elif missing:
        yield f"{path} lacks {', '.join(missing)}"


@control(
    "aws-eks-access-entries",
    title="EKS access is granted through access entries",
    severity="medium",
    types=CLUSTER,
    remedy="set accessConfig.authenticationMode to API from the start; the way back is closed",
    anchors=("CIS-EKS 4.1.7", "CIS-EKS 5.5.1"),
)
def access_entries(props: Props) -> Verdicts:
    path = "accessConfig.authenticationMode"
    yield from expect(props, path, one_of("API"), "the aws-auth ConfigMap may grant access unseen by IAM")


@control(
    "aws-eks-node-metadata-tokens",
    title="Nodes answer metadata requests with a session token only",
    severity="high",
    types=NODES,
    remedy="set metadataOptions.httpTokens to required",
    anchors=("CKV_AWS_79", "FSBP EC2.170", "AWS-0130"),
)
def node_metadata_tokens(props: Props) -> Verdicts:
    path = "metadataOptions.httpTokens"
    yield from expect(props, path, one_of("required"), "a forged request can fetch the node's credentials")


@control(
    "aws-eks-node-metadata-hops",
    title="Pods can't fetch their node's credentials",
    severity="medium",
    types=NODES,
    remedy="leave metadataOptions.httpPutResponseHopLimit at 1",
    anchors=("CKV_AWS_341",),
)
def node_metadata_hops(props: Props) -> Verdicts:
    yield from expect(
        props,
        "metadataOptions.httpPutResponseHopLimit",
        lambda hops: hops <= 1,
        "the answer travels on into pods",
        absent_passes=True,
    )
