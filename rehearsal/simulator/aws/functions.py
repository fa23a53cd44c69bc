"""The functions of the `aws` provider, as they respond about the simulated account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rehearsal.simulator.aws.cluster import CLUSTER, NODE_GROUP
from rehearsal.simulator.aws.network import get_zone_id, list_zone_names
from rehearsal.simulator.aws.rules import get_caller_role
from rehearsal.simulator.aws.telemetry import LOG_GROUP
from rehearsal.simulator.core.cloud import ProviderFunction
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import Resource, StateReader

Arguments = Mapping[str, Any]
Account = Mapping[str, str]

# Names of the parameters in which AWS publishes the newest image of nodes.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html
_IMAGE_RELEASE = re.compile(
    r"/aws/service/eks/optimized-ami/(?P<version>\d+\.\d+)/amazon-linux-2023/(x86_64|arm64)/standard/recommended/"
    r"release_version"
)


def _get_caller_identity(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001 it depends on the caller only
    arn = get_caller_role(account)
    number, role = arn.split(":")[4], arn.rpartition("/")[2]
    return {
        "accountId": account["account"],
        "arn": f"arn:aws:sts::{number}:assumed-role/{role}/{role}",
        "id": account["account"],
        "userId": f"AROAEXAMPLE:{role}",
    }


def _get_session_context(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    """The role of a session; any other ARN is returned as it is."""
    arn = str(arguments["arn"])
    session = re.fullmatch(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/(.+)", arn)
    if session is None:
        return {"arn": arn, "id": arn, "issuerArn": arn, "issuerId": "", "issuerName": "", "sessionName": ""}
    number, role, name = session.groups()
    issuer = f"arn:aws:iam::{number}:role/{role}"
    return {
        "arn": arn,
        "id": arn,
        "issuerArn": issuer,
        "issuerId": "AROAEXAMPLE",
        "issuerName": role,
        "sessionName": name,
    }


def _get_availability_zones(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    region, excluded = account["region"], arguments.get("excludeZoneIds", [])
    names = [name for name in list_zone_names(region) if get_zone_id(name) not in excluded]
    return {
        "groupNames": [region],
        "id": region,
        "names": names,
        "region": region,
        "zoneIds": [get_zone_id(name) for name in names],
    }


def _get_clusters(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    return {"id": account["region"], "names": [cluster.id for cluster in state.all(CLUSTER)]}


def _get_cluster(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    name = arguments["name"]
    for cluster in state.all(CLUSTER):
        if cluster.id == name:
            kept = {key: cluster.inputs.get(key) for key in ("roleArn", "version", "tags")}
            return {**kept, "arn": cluster.outputs["arn"], "endpoint": cluster.outputs["endpoint"], "id": name}
    raise CloudError(f"ResourceNotFoundException: No cluster found for name: {name}.")


def _get_node_groups(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    cluster = arguments["clusterName"]
    if all(found.id != cluster for found in state.all(CLUSTER)):
        raise CloudError(f"ResourceNotFoundException: No cluster found for name: {cluster}.")
    names = [group.outputs["nodeGroupName"] for group in _list_node_groups(state, cluster)]
    return {"clusterName": cluster, "id": cluster, "names": names}


def _get_node_group(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    cluster, name = arguments["clusterName"], arguments["nodeGroupName"]
    for group in _list_node_groups(state, cluster):
        if group.outputs["nodeGroupName"] == name:
            return {
                **{key: group.inputs[key] for key in ("labels", "version", "subnetIds") if key in group.inputs},
                "clusterName": cluster,
                "id": group.id,
                "nodeGroupName": name,
                "scalingConfigs": [group.inputs["scalingConfig"]],
            }
    raise CloudError(f"ResourceNotFoundException: No node group found for name: {name}.")


def _list_node_groups(state: StateReader, cluster: str) -> Iterator[Resource]:
    return (group for group in state.all(NODE_GROUP) if group.inputs.get("clusterName") == cluster)


def _get_addon_version(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    """A version in EKS's format; the number is made up."""
    addon, version = arguments["addonName"], arguments["kubernetesVersion"]
    return {"addonName": addon, "id": addon, "kubernetesVersion": version, "version": f"v{version}.0-eksbuild.1"}


def _get_parameter(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    """The public parameter of the nodes' image; its release is made up. There are no other parameters."""
    name = str(arguments["name"])
    image = _IMAGE_RELEASE.fullmatch(name)
    if image is None and name.startswith("/aws/"):
        raise CloudError(f"the simulated aws does not know the public SSM parameter {name}")
    if image is None:
        raise CloudError(f"reading SSM Parameter ({name}): couldn't find resource")
    release = f"{image['version']}.0-20260101"
    return {"id": name, "insecureValue": release, "name": name, "type": "String", "value": release}


def _get_log_groups(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:
    prefix = arguments.get("logGroupNamePrefix", "")
    groups = [group for group in state.all(LOG_GROUP) if group.id.startswith(prefix)]
    return {
        "arns": [group.outputs["arn"] for group in groups],
        "id": account["region"],
        "logGroupNamePrefix": prefix,
        "logGroupNames": [group.id for group in groups],
    }


def _get_log_group(arguments: Arguments, state: StateReader, account: Account) -> Mapping[str, Any]:  # noqa: ARG001
    name = arguments["name"]
    for group in state.all(LOG_GROUP):
        if group.id == name:
            kept = {key: group.inputs.get(key) for key in ("kmsKeyId", "retentionInDays", "tags")}
            return {**kept, "arn": group.outputs["arn"], "id": name, "name": name}
    raise CloudError(f"reading CloudWatch Logs Log Group ({name}): couldn't find resource")


FUNCTIONS: Mapping[str, ProviderFunction] = {
    "aws:cloudwatch/getLogGroup:getLogGroup": _get_log_group,
    "aws:cloudwatch/getLogGroups:getLogGroups": _get_log_groups,
    "aws:eks/getAddonVersion:getAddonVersion": _get_addon_version,
    "aws:eks/getCluster:getCluster": _get_cluster,
    "aws:eks/getClusters:getClusters": _get_clusters,
    "aws:eks/getNodeGroup:getNodeGroup": _get_node_group,
    "aws:eks/getNodeGroups:getNodeGroups": _get_node_groups,
    "aws:iam/getSessionContext:getSessionContext": _get_session_context,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _get_availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _get_caller_identity,
    "aws:ssm/getParameter:getParameter": _get_parameter,
}
