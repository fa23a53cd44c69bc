"""The simulated `aws` provider: one account, one region, what is in the tables beside this file and nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from rehearsal.simulator.aws import cluster, compute, databases, network, security, storage, telemetry, training
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import Cloud, Invoke, ResourceModel, ResourceRequest, StateReader
from rehearsal.simulator.core.values import UNKNOWN

ACCOUNT = "111122223333"  # what AWS's documentation calls everybody's account

_MODELS = {
    model.type: model
    for module in (network, compute, security, storage, databases, telemetry, cluster, training)
    for model in module.MODELS
}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")

# What EC2 answers about an ID that it does not know, by the ID's prefix.
_ABSENT = {
    "eipalloc": "InvalidAllocationID.NotFound: The allocation ID '{}' does not exist",
    "igw": "InvalidInternetGatewayID.NotFound: The internetGateway ID '{}' does not exist",
    "lt": "InvalidLaunchTemplateId.NotFound: The specified launch template, with template ID {}, does not exist.",
    "nat": "InvalidNatGatewayID.NotFound: NatGateway {} was not found",
    "rtb": "InvalidRouteTableID.NotFound: The routeTable ID '{}' does not exist",
    "sg": "InvalidGroup.NotFound: The security group '{}' does not exist",
    "subnet": "InvalidSubnetID.NotFound: The subnet ID '{}' does not exist",
    "vpc": "InvalidVpcID.NotFound: The vpc ID '{}' does not exist",
    "vpce": "InvalidVpcEndpointId.NotFound: The Vpc Endpoint Id '{}' does not exist",
}
_EC2_ID = re.compile(rf"({'|'.join(_ABSENT)})-[0-9a-f]{{8,17}}")
# What the other services answer, by the service in the ARN.
_ABSENT_ARN = {
    "iam": "NoSuchEntity: {} cannot be found.",
    "kms": "NotFoundException: Key '{}' does not exist",
    "logs": "ResourceNotFoundException: The specified log group does not exist: {}",
    "s3": "NoSuchBucket: The specified bucket does not exist: {}",
    "sns": "NotFound: Topic does not exist: {}",
}


def _caller(arguments: Mapping[str, Any], state: StateReader, account: Mapping[str, str]) -> Mapping[str, Any]:  # noqa: ARG001
    number = account["account"]
    return {
        "accountId": number,
        "arn": f"arn:aws:sts::{number}:assumed-role/rehearsal/rehearsal",
        "id": number,
        "userId": "AROAEXAMPLE:rehearsal",
    }


def _zones(arguments: Mapping[str, Any], state: StateReader, account: Mapping[str, str]) -> Mapping[str, Any]:  # noqa: ARG001
    excluded = arguments.get("excludeZoneIds", [])
    names = [name for name in network.zone_names(account["region"]) if network.zone_id(name) not in excluded]
    return {
        "groupNames": [account["region"]],
        "id": account["region"],
        "names": names,
        "region": account["region"],
        "zoneIds": [network.zone_id(name) for name in names],
    }


class _Aws:
    name = "aws"
    account: Mapping[str, str] = {"account": ACCOUNT}
    invokes: Mapping[str, Invoke] = {
        "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
        "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    }
    secret_invokes: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        region = variables.get("region")
        if region is UNKNOWN:
            return {}
        if not region:
            raise CloudError(
                'missing required configuration key "aws:region": The region where AWS operations will take place. '
                "Examples are us-east-1, us-west-2, etc."
            )
        if not _REGION.fullmatch(region):
            raise CloudError(f"invalid AWS Region: {region}")
        return {"region": region}

    def model(self, type_: str) -> ResourceModel | None:
        return _MODELS.get(type_)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        if value.startswith(("{", "[")):
            return None  # policy documents and settings in JSON; rules read those
        found = _EC2_ID.fullmatch(value)
        if found:
            default = request.type.endswith(":DefaultSecurityGroup")
            known = default or request.state.find(value) is not None
            return None if known else _ABSENT[found[1]].format(value)
        return _missing_arn(request, value)


def _missing_arn(request: ResourceRequest, value: str) -> str | None:
    parts = value.split(":", 5)
    if len(parts) < 6 or parts[:2] != ["arn", "aws"]:
        return None
    service, owner = parts[2], parts[4]
    # Buckets' ARNs name no account; what belongs to AWS names `aws`, and is judged by rules.
    if owner != request.account["account"] and service != "s3":
        return None
    base = re.sub(r"(:\*|/\*?)$", "", value)
    if service == "s3":
        base = base.split("/", 1)[0]
    if "*" in base or request.state.find(base) is not None:
        return None
    return _ABSENT_ARN.get(service, "ResourceNotFoundException: {} does not exist").format(base)


CLOUD: Cloud = _Aws()
