"""Quotas of the network on AWS, as the real AWS CLI reports them from moto's server.

Proves that responses to preflight's requests have the form that it reads, including tags. moto has quotas of VPCs but
not of EC2, so the quota of addresses is tested in tests/unit/deploy/test_aws.py.
"""

from __future__ import annotations

import os
from functools import partial

import pytest

from deploy import aws
from deploy.findings import Finding, Status
from deploy.programs import Programs
from infra.core.naming import Naming
from infra.core.settings import Settings
from tests.support.moto_server import run_aws

REGION, STACK = "eu-west-1", "aws-qa"
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("empty_account")]
aws_cli = partial(run_aws, REGION)
SETTINGS = Settings.model_validate(
    {
        "cloud": "aws",
        "environment": "dev",
        "location": REGION,
        "organization": "acme",
        "owner": "ml",
        "cluster": {"authorizedRanges": ["192.88.99.0/24"]},
    }
)


def create(resource: str, command: str, *options: str, stack: str) -> None:
    tags = ",".join(f"{{Key={key},Value={value}}}" for key, value in Naming(SETTINGS, stack).owner_tags.items())
    aws_cli("ec2", command, *options, "--tag-specifications", f"ResourceType={resource},Tags=[{tags}]")


def find_quotas() -> list[Finding]:
    found = aws.check(SETTINGS, Programs(dict(os.environ)), stack=STACK, is_interactive=False, for_deployment=True)
    return list(found)[-2:]


def test_the_stacks_own_network_is_not_counted_against_it() -> None:
    """moto's region has a default network, and the default quota of five."""
    for number in range(4):
        create("vpc", "create-vpc", "--cidr-block", f"10.{number}.0.0/16", stack=STACK if number == 3 else "aws-prod")
    assert find_quotas()[1].status is Status.OK
    create("vpc", "create-vpc", "--cidr-block", "10.9.0.0/16", stack="aws-prod")
    found = find_quotas()[1]
    assert found.status is Status.MISSING
    assert found.text == "VPCs of a region: the stack needs 1, others in eu-west-1 have 5, and the quota is 5"


def test_addresses_are_listed_with_their_tags_and_an_unknown_quota_is_noted() -> None:
    create("elastic-ip", "allocate-address", "--domain", "vpc", stack=STACK)
    (address,) = aws_cli("ec2", "describe-addresses")["Addresses"]
    assert {each["Key"] for each in address["Tags"]} == set(Naming(SETTINGS, STACK).owner_tags)
    assert find_quotas()[0].status is Status.NOTE
