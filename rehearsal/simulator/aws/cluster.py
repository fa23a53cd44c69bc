"""Amazon EKS: the cluster, and who has access to it."""

from __future__ import annotations

import ipaddress
from typing import Any

from kernel.paths import look_up
from kernel.support_calendars import EKS
from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import (
    arn_template,
    find_resources,
    get_availability_zones,
    get_caller_role,
    get_name,
    require_trust,
)
from rehearsal.simulator.core.calendar import note_support, refuse_unsupported
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import (
    matches,
    one_of,
    parse_cidr,
    refuse_items_when,
    refuse_when,
    refuse_while_used,
    require_existing,
    unless_unchanged,
)
from rehearsal.simulator.core.transitions import get_change, moves_along, parse_version, step_by_minor

CLUSTER, NODE_GROUP = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
_ACCESS_ENTRY = "aws:eks/accessEntry:AccessEntry"
# Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html
REQUIRE_CLUSTER = require_existing(
    "clusterName", CLUSTER, "ResourceNotFoundException: No cluster found for name: {value}."
)


# Minor versions that nodes may be behind the control plane.
# Source: https://kubernetes.io/releases/version-skew-policy/#kubelet
_MAX_SKEW = 3
_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


# Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html
_ENTRY_TYPES = ("STANDARD", "EC2", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX")
_PRIVATE_BLOCKS = [ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def _is_private(value: Any) -> bool:
    network = parse_cidr(value)
    return network is not None and any(network.subnet_of(block) for block in _PRIVATE_BLOCKS)


def _accepts_extended_support(request: ResourceRequest) -> bool:
    """Source: https://docs.aws.amazon.com/eks/latest/userguide/view-upgrade-policy.html (EXTENDED is the default)"""
    return bool(request.get("upgradePolicy.supportType", "EXTENDED") != "STANDARD")


# Source: https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html
def _require_api_endpoint(request: ResourceRequest) -> str | None:
    private = request.get("vpcConfig.endpointPrivateAccess", False)
    public = request.get("vpcConfig.endpointPublicAccess", True)
    if private is False and public is False:
        return "InvalidParameterException: Private and public endpoint access cannot be false"
    return None


# Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
def _check_service_cidr(request: ResourceRequest) -> str | None:
    value = request.get("kubernetesNetworkConfig.serviceIpv4Cidr", UNKNOWN)
    if value is UNKNOWN or (_is_private(value) and 12 <= ipaddress.IPv4Network(value).prefixlen <= 24):
        return None
    return (
        "InvalidParameterException: the service CIDR must be within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 and "
        f"between /24 and /12, got {value}"
    )


# Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
def _require_two_zones(request: ResourceRequest) -> str | None:
    has_two = len(get_availability_zones(request, "vpcConfig.subnetIds")) >= 2
    return None if has_two else "InvalidParameterException: Subnets specified must be in at least two different AZs"


# Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
def _check_service_cidr_overlap(request: ResourceRequest) -> str | None:
    services = parse_cidr(request.get("kubernetesNetworkConfig.serviceIpv4Cidr"))
    for subnet in find_resources(request, "vpcConfig.subnetIds"):
        vpc = request.state.find(str(subnet.inputs.get("vpcId")))
        block = parse_cidr(vpc.inputs.get("cidrBlock")) if vpc else None
        if services and block and services.overlaps(block):
            return f"InvalidParameterException: the service CIDR {services} overlaps the VPC's CIDR {block}"
    return None


def _refuse_other_network(request: ResourceRequest) -> str | None:
    """New subnets must be in the cluster's network and zones; the messages are not AWS's own.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html (subnet requirements)
    """
    change = get_change(request, "vpcConfig.subnetIds")
    if change is None:
        return None
    old, new = ([subnet for subnet in map(request.state.find, ids) if subnet] for ids in change)
    for place, path in (("VPC", "vpcId"), ("Availability Zones", "availabilityZone")):
        before, after = ({str(subnet.inputs.get(path)) for subnet in subnets} for subnets in (old, new))
        if before and not after <= before:
            return (
                f"InvalidParameterException: The subnets of a cluster must stay in the {place} that it was created in "
                f"({', '.join(sorted(before))}), got {', '.join(sorted(after))}"
            )
    return None


def _refuse_nodes_left_behind(request: ResourceRequest) -> str | None:
    change = get_change(request, "version")
    if change is None or None in change:
        return None
    minor = parse_version(change[1])[1]
    groups = (group for group in request.state.all(NODE_GROUP) if group.inputs.get("clusterName") == request.id)
    late = [
        group.id.partition(":")[2]
        for group in groups
        if parse_version(group.outputs.get("version"))[1:2] < (minor - _MAX_SKEW,)
    ]
    if not late:
        return None
    return (
        f"InvalidParameterException: Nodegroups {', '.join(late)} must be updated to match cluster version {change[0]} "
        "before updating cluster version"
    )


def _check_creators_entry(request: ResourceRequest) -> str | None:
    """A cluster that grants its creator access already has the creator's access entry, which EKS created.

    Source: https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2968
    """
    cluster = request.state.find(str(request.get("clusterName")))
    is_creator = request.get("principalArn") == get_caller_role(request.account)
    if request.id or not is_creator or cluster is None:
        return None
    if look_up(cluster.inputs, "accessConfig.bootstrapClusterCreatorAdminPermissions", True) is False:
        return None
    return "ResourceInUseException: The specified access entry resource is already in use on this cluster."


def _build_endpoint(request: ResourceRequest) -> str:
    return f"https://{request.hex(32).upper()}.gr7.{request.account['region']}.eks.amazonaws.com"


def _describe_network(request: ResourceRequest) -> dict[str, Any]:
    """The network settings, with the security group that EKS creates for the cluster's nodes."""
    config: dict[str, Any] = request.get("vpcConfig", {})
    return {**config, "clusterSecurityGroupId": f"sg-{request.hex(17, 'security group')}"}


def _build_issuer(request: ResourceRequest) -> str:
    return f"https://oidc.eks.{request.account['region']}.amazonaws.com/id/{request.hex(32).upper()}"


def build_arn(request: ResourceRequest, kind: str, *names: str) -> str:
    """The ARN of a part of a cluster, such as `nodegroup`; `names` follow the cluster's name."""
    return request.fill(arn_template("eks", kind)) + "".join(
        f"/{name}" for name in (request.get("clusterName"), *names)
    )


MODELS = (
    ResourceModel(
        CLUSTER,
        id=get_name,
        outputs={
            "arn": lambda request: request.fill(arn_template("eks", "cluster/")) + get_name(request),
            # A placeholder for the certificate: no server listens at the endpoint.
            "certificateAuthority": lambda request: {"data": f"c2ltdWxhdGVk{request.hex(32)}"},
            "endpoint": _build_endpoint,
            "identities": lambda request: [{"oidcs": [{"issuer": _build_issuer(request)}]}],
            # Each Kubernetes version has its own platform versions.
            "platformVersion": lambda request: f"eks.{1 + int(request.hex(1, str(request.get('version'))), 16)}",
            "status": lambda _: "ACTIVE",
            "vpcConfig": _describe_network,
        },
        required=("roleArn", "vpcConfig.subnetIds"),
        defaults=auto_named(prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/cluster.go
        replace_on_changes=(
            "name",
            "roleArn",
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "bootstrapSelfManagedAddons",
            "kubernetesNetworkConfig.ipFamily",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
        ),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/cluster.go
        # Another key is an update that calls no API: https://github.com/hashicorp/terraform-provider-aws/issues/34883
        replace_if={"encryptionConfig": lambda _, new: new is None},
        transitions=(
            step_by_minor(
                "version",
                "InvalidParameterException: Unsupported Kubernetes version downgrade from {old} to {new}",
                "InvalidParameterException: Unsupported Kubernetes minor version update from {old} to {new}",
            ),
            # Sources: https://docs.aws.amazon.com/eks/latest/userguide/setting-up-access-entries.html (no way back) and
            # https://github.com/pulumi/pulumi-eks/issues/1493 (no step left out, and the message)
            moves_along(
                "accessConfig.authenticationMode",
                ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API"),
                "InvalidParameterException: Unsupported authentication mode update from {old} to {new}",
            ),
            _refuse_nodes_left_behind,
            _refuse_other_network,
        ),
        rules=(
            matches(
                "name",
                r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}",
                "InvalidParameterException: The name of a cluster can contain only alphanumeric characters, hyphens "
                "and underscores, and must not be longer than 100; got {value}",
            ),
            unless_unchanged(
                "version",
                refuse_unsupported(
                    "version",
                    EKS,
                    "InvalidParameterException: unsupported Kubernetes version {value}",
                    _accepts_extended_support,
                ),
            ),
            one_of(
                "accessConfig.authenticationMode",
                ("API", "API_AND_CONFIG_MAP", "CONFIG_MAP"),
                "expected authentication_mode to be one of [API API_AND_CONFIG_MAP CONFIG_MAP], got {value}",
            ),
            # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/cluster.go
            refuse_items_when(
                "enabledClusterLogTypes",
                lambda log: log not in _LOG_TYPES,
                f"expected enabled_cluster_log_types to be one of [{' '.join(_LOG_TYPES)}], got {{value}}",
            ),
            # Source: https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html
            refuse_items_when(
                "vpcConfig.publicAccessCidrs",
                _is_private,
                "InvalidParameterException: The following CIDRs are not allowed in publicAccessCidrs: [{value}]",
            ),
            _require_api_endpoint,
            _check_service_cidr,
        ),
        state_rules=(
            _require_two_zones,
            _check_service_cidr_overlap,
            # Source: https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2406
            require_trust(
                "roleArn",
                "eks.amazonaws.com",
                "InvalidParameterException: Role with arn: {value}, could not be assumed because it does not exist or "
                "the trusted entity is not correct",
            ),
        ),
        delete_rules=(
            # Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
            refuse_when(
                lambda request: request.get("deletionProtection") is True,
                "InvalidRequestException: Cannot delete cluster because deletion protection is enabled",
            ),
            # Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_DeleteCluster.html
            refuse_while_used(NODE_GROUP, "clusterName", "ResourceInUseException: Cluster has nodegroups attached"),
        ),
        notes=(note_support("version", EKS, "Kubernetes"),),
    ),
    ResourceModel(
        _ACCESS_ENTRY,
        id=lambda request: f"{request.get('clusterName')}:{request.get('principalArn')}",
        outputs={"accessEntryArn": lambda request: build_arn(request, "access-entry", request.uuid())},
        required=("clusterName", "principalArn"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/access_entry.go
        replace_on_changes=("clusterName", "principalArn", "type"),
        transitions=UNRESTRICTED,
        rules=(
            one_of("type", _ENTRY_TYPES, f"expected type to be one of [{' '.join(_ENTRY_TYPES)}], got {{value}}"),
            # Source: https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html
            refuse_when(
                lambda request: (
                    request.get("type", "STANDARD") not in ("STANDARD", UNKNOWN)
                    and request.get("kubernetesGroups", UNKNOWN) is not UNKNOWN
                ),
                "InvalidParameterException: The kubernetesGroups of an access entry of type {type} cannot be set",
            ),
        ),
        state_rules=(REQUIRE_CLUSTER, _check_creators_entry),
    ),
    ResourceModel(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        id=lambda request: "#".join(str(request.get(path)) for path in ("clusterName", "principalArn", "policyArn")),
        required=("clusterName", "principalArn", "policyArn", "accessScope.type"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/eks/access_policy_association.go
        replace_on_changes=("clusterName", "principalArn", "policyArn", "accessScope"),
        transitions=UNRESTRICTED,
        state_rules=(
            REQUIRE_CLUSTER,
            # Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_AssociateAccessPolicy.html
            require_existing(
                "principalArn",
                _ACCESS_ENTRY,
                "ResourceNotFoundException: The specified principalArn could not be found: {value}",
                name_path="principalArn",
            ),
        ),
    ),
)
