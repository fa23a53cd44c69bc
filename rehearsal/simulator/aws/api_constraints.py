"""The constraints of AWS's APIs on single inputs, from botocore's service models, and the services' error messages.

Sources of the messages: https://github.com/aws/aws-sdk-js/issues/2748 and https://github.com/aarondfrancis/sidecar/issues/147
(the framework of most services), https://github.com/hashicorp/terraform-provider-aws/issues/23296 (S3), and
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html (EC2 and RDS, codes only). It is not
verified that each service responds as its family does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from kernel.paths import format_path
from rehearsal.simulator.core.constraints import InputConstraints, Kind, Violation, read_constraints
from rehearsal.simulator.core.resource_model import ResourceModel

FILE = Path(__file__).with_name("api_constraints.json")
_BY_TYPE = read_constraints(FILE, ignores_case=False)

# Codes of the services that do not use the framework's own.
_CODES = {
    "cloudwatch": "ValidationError",
    "ecr": "InvalidParameterException",
    "eks": "InvalidParameterException",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
}
_UNMET: Mapping[Kind, str] = {
    Kind.PATTERN: "Member must satisfy regular expression pattern: {limit}",
    Kind.SHORTEST: "Member must have length greater than or equal to {limit}",
    Kind.LONGEST: "Member must have length less than or equal to {limit}",
    Kind.LOWEST: "Member must have value greater than or equal to {limit}",
    Kind.HIGHEST: "Member must have value less than or equal to {limit}",
    Kind.VALUES: "Member must satisfy enum value set: [{limit}]",
}
_MOST_VALUES = 12  # that a message lists of an enumeration: EC2 has a thousand instance types


def constrain(model: ResourceModel) -> ResourceModel:
    """A model with the API's constraints on its inputs."""
    return replace(model, constraints=InputConstraints(_BY_TYPE.get(model.type, ()), _describe))


def _describe(violation: Violation) -> str:
    constraint = violation.constraint
    if constraint.kind is Kind.REQUIRED:
        path = format_path(violation.path)
        return f'Missing required argument: The argument "{path}" is required, but no definition was found.'
    service, _, member = constraint.member.split(".", 2)
    return _STYLES.get(service, _describe_as_framework)(service, member, violation)


def _describe_as_framework(service: str, member: str, violation: Violation) -> str:
    code, unmet, value = _CODES.get(service, "ValidationException"), _describe_unmet(violation), violation.value
    return f"{code}: 1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {unmet}"


def _describe_as_query(_service: str, member: str, violation: Violation) -> str:
    """The message of EC2 and RDS, whose protocol is older. Its end is not the service's own."""
    name = member.rpartition(".")[2]
    unmet = _describe_unmet(violation)
    return f"InvalidParameterValue: Value ({violation.value}) for parameter {name} is invalid. {unmet}"


def _describe_as_s3(_service: str, member: str, violation: Violation) -> str:
    return (
        "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema (the "
        f"simulation knows the cause: '{violation.value}' at '{member}'. {_describe_unmet(violation)})"
    )


def _describe_unmet(violation: Violation) -> str:
    constraint, limit = violation.constraint, violation.constraint.limit
    if constraint.kind is Kind.VALUES:
        limit = ", ".join(constraint.limit[:_MOST_VALUES]) + (", ..." if len(constraint.limit) > _MOST_VALUES else "")
    return _UNMET[constraint.kind].format(limit=limit)


_STYLES: Mapping[str, Callable[[str, str, Violation], str]] = {
    "ec2": _describe_as_query,
    "rds": _describe_as_query,
    "s3": _describe_as_s3,
}
