"""AWS's errors about IDs and ARNs that do not exist."""

from __future__ import annotations

import re

from rehearsal.simulator.aws.rules import is_callers_role
from rehearsal.simulator.core.resource_model import ResourceRequest

# EC2's errors, keyed by the prefix of the ID.
_EC2_ERRORS = {
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
_EC2_ID = re.compile(rf"({'|'.join(_EC2_ERRORS)})-[0-9a-f]{{8,17}}")
# Other services' errors, keyed by the service in the ARN.
_ARN_ERRORS = {
    "iam": "NoSuchEntity: {} cannot be found.",
    "kms": "NotFoundException: Key '{}' does not exist",
    "logs": "ResourceNotFoundException: The specified log group does not exist: {}",
    "s3": "NoSuchBucket: The specified bucket does not exist: {}",
    "sns": "NotFound: Topic does not exist: {}",
}


def find_missing_reference(request: ResourceRequest, value: str) -> str | None:
    """AWS's error if a value is an ID or ARN of this account, and no such resource exists; otherwise None."""
    if value.startswith(("{", "[")):
        return None  # policy documents and settings in JSON: rules read those
    match = _EC2_ID.fullmatch(value)
    if match is None:
        return _find_missing_arn(request, value)
    # A default security group is created with its VPC, without a separate request.
    is_implicit = request.type.endswith(":DefaultSecurityGroup")
    return None if is_implicit or request.state.find(value) else _EC2_ERRORS[match[1]].format(value)


def _find_missing_arn(request: ResourceRequest, value: str) -> str | None:
    parts = value.split(":", 5)
    if len(parts) < 6 or parts[:2] != ["arn", "aws"]:
        return None
    service, owner = parts[2], parts[4]
    # ARNs of buckets name no account; ARNs of AWS's own resources name the account `aws`, and rules check those.
    if owner != request.account["account"] and service != "s3":
        return None
    base = re.sub(r"(:\*|/\*?)$", "", value)
    if service == "s3":
        base = base.split("/", 1)[0]
    if is_callers_role(request.account, base) or base in request.circumstances.principals:
        return None
    if "*" in base or request.state.find(base) is not None:
        return None
    return _ARN_ERRORS.get(service, "ResourceNotFoundException: {} does not exist").format(base)
