"""Amazon EKS: a cluster's add-ons and its pod identities."""

from __future__ import annotations

from typing import Any

import yaml

from kernel.iam import allows
from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.aws.cluster import NODE_GROUP, REQUIRE_CLUSTER, build_arn
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import note_unlisted, parse_json, require_unique

ADDON, _ASSOCIATION = "aws:eks/addon:Addon", "aws:eks/podIdentityAssociation:PodIdentityAssociation"
# Some of the add-ons at https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html
_ADDONS = (
    "amazon-cloudwatch-observability",
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "coredns",
    "eks-pod-identity-agent",
    "kube-proxy",
    "metrics-server",
    "snapshot-controller",
    "vpc-cni",
)
# Add-ons that are Deployments: they become healthy only when there are nodes.
_ADDONS_ON_NODES = ("aws-ebs-csi-driver", "coredns", "metrics-server", "snapshot-controller")


def _check_configuration(request: ResourceRequest) -> str | None:
    """The values are an object, in JSON or in YAML.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/creating-an-add-on.html and, of the message,
    https://github.com/cookpad/terraform-aws-eks/pull/331
    """
    text = request.get("configurationValues")
    values = _parse_values(text) if text not in (None, "", UNKNOWN) else {}
    if isinstance(values, dict):
        return None
    kind = {type(None): "null", str: "string", list: "array"}.get(type(values), type(values).__name__)
    return (
        "InvalidParameterException: ConfigurationValue provided in request is not supported: Json schema validation "
        f"failed with error: [$: {kind} found, object expected]"
    )


def _parse_values(text: str) -> Any:
    try:
        return parse_json(text) or yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _require_nodes(request: ResourceRequest) -> str | None:
    """The provider waits while the add-on is degraded; only the EKS console shows the cause.

    Sources: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/addon.go and, of the
    add-on's health, https://github.com/terraform-aws-modules/terraform-aws-eks/issues/3001
    """
    groups = (
        group
        for group in request.state.all(NODE_GROUP)
        if group.inputs.get("clusterName") == request.get("clusterName")
    )
    if request.get("addonName") not in _ADDONS_ON_NODES or any(groups):
        return None
    return (
        "timeout while waiting for state to become 'ACTIVE' (last state: 'DEGRADED', timeout: 20m0s) (the simulation "
        "knows the cause: InsufficientNumberOfReplicas: The add-on is unhealthy because it doesn't have the desired "
        "number of replicas.)"
    )


# Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
def _check_pod_role_trust(request: ResourceRequest) -> str | None:
    associations = as_list(request.get("podIdentityAssociations")) if request.type == ADDON else []
    arns = [association.get("roleArn") for association in associations]
    if request.type == _ASSOCIATION:
        arns.append(request.get("roleArn"))
    for arn in filter(None, arns):
        role = request.state.find(arn)
        document = role.inputs.get("assumeRolePolicy") if role else None
        if role and not all(
            allows(document, "Service", "pods.eks.amazonaws.com", action) is True
            for action in ("sts:AssumeRole", "sts:TagSession")
        ):
            return (
                f"InvalidParameterException: Trust policy of the role {arn} does not allow "
                "pods.eks.amazonaws.com to sts:AssumeRole and sts:TagSession"
            )
    return None


MODELS = (
    ResourceModel(
        ADDON,
        id=lambda request: f"{request.get('clusterName')}:{request.get('addonName')}",
        outputs={"arn": lambda request: build_arn(request, "addon", str(request.get("addonName")), request.uuid())},
        required=("clusterName", "addonName"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/addon.go
        replace_on_changes=("clusterName", "addonName"),
        transitions=UNRESTRICTED,
        rules=(_check_configuration,),
        state_rules=(REQUIRE_CLUSTER, _require_nodes, _check_pod_role_trust),
        notes=(note_unlisted("addonName", _ADDONS, "whether EKS has the add-on"),),
    ),
    ResourceModel(
        _ASSOCIATION,
        id=lambda request: f"a-{request.hex(17)}",
        outputs={
            "associationArn": lambda request: build_arn(request, "podidentityassociation", request.id),
            "associationId": "{id}",
        },
        required=("clusterName", "namespace", "serviceAccount", "roleArn"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/pod_identity_association.go
        replace_on_changes=("clusterName", "namespace", "serviceAccount"),
        transitions=UNRESTRICTED,
        state_rules=(
            REQUIRE_CLUSTER,
            _check_pod_role_trust,
            # Source: https://github.com/eksctl-io/eksctl/issues/7753
            require_unique(
                ("clusterName", "namespace", "serviceAccount"),
                "ResourceInUseException: Association already exists: {id}",
            ),
        ),
    ),
)
