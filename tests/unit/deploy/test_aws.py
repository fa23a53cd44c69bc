"""The findings of a preflight on AWS: credentials, account, node sizes and quotas.

Proves how the AWS CLI's output is read, in the form of version 1.45 (`--generate-cli-skeleton output`). The CLI itself
does not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deploy import aws
from deploy.findings import Finding, Status
from infra.core.settings import Settings
from tests.support.fake_programs import FakePrograms, refuse

ACCOUNT = "111122223333"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/ci"
CALLER = {"UserId": "A", "Account": ACCOUNT, "Arn": ROLE}
STANDARD = "L-1216C47A"


def settings(**changed: Any) -> Settings:
    cluster = {"authorizedRanges": ["192.88.99.0/24"], **changed.pop("cluster", {})}
    base = {"cloud": "aws", "environment": "dev", "location": "eu-west-1", "organization": "acme", "owner": "ml"}
    return Settings.model_validate({**base, "cluster": cluster, **changed})


def check(answers: Mapping[str, Any], *, for_deployment: bool = False, **changed: Any) -> list[Finding]:
    programs = FakePrograms(answers)
    return list(
        aws.check(settings(**changed), programs, stack="aws-qa", is_interactive=False, for_deployment=for_deployment)
    )


def check_nodes(answers: Mapping[str, Any], **changed: Any) -> list[Finding]:
    """The findings on the node pools, which come after credentials and account and before the network's quotas."""
    return check({"aws sts": CALLER, **answers}, for_deployment=True, **changed)[2:-2]


def described(vcpus: int) -> Any:
    return {"InstanceTypes": [{"InstanceType": "x", "VCpuInfo": {"DefaultVCpus": vcpus}}]}


def quota(value: float) -> Any:
    return {"Quota": {"QuotaCode": STANDARD, "Value": value}}


SIZES = {
    "aws ec2 describe-instance-types --instance-types m6i.xlarge": described(4),
    "aws ec2 describe-instance-types --instance-types p5.48xlarge": described(192),
    "aws ec2 describe-instance-types --instance-types inf2.xlarge": described(4),
    "aws ec2 describe-instance-types --instance-types g5.xlarge": described(4),
}


def test_the_caller_is_requested_in_the_stacks_region() -> None:
    programs = FakePrograms({"aws sts": CALLER})
    found = list(aws.check(settings(), programs, stack="aws-qa", is_interactive=False, for_deployment=False))
    assert [finding.status for finding in found] == [Status.OK, Status.OK]
    assert found[0].text == ROLE
    assert programs.commands == ["aws sts get-caller-identity --region eu-west-1 --output json"]


def test_a_missing_cli_is_reported_and_nothing_is_requested() -> None:
    (finding,) = aws.check_programs(FakePrograms({}))
    assert finding.status is Status.MISSING
    assert "kubeconfig" in finding.text
    programs = FakePrograms({})
    (later,) = aws.check(settings(), programs, stack="aws-qa", is_interactive=False, for_deployment=False)
    assert (later.subject, later.status) == ("credentials", Status.NOTE)
    assert "aws sso login" in later.remedy
    assert programs.commands == []


@pytest.mark.parametrize(
    "message",
    [
        'Unable to locate credentials. You can configure credentials by running "aws configure".',
        "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token is expired",
        "Error loading SSO Token: Token for https://acme.awsapps.com/start does not exist",
    ],
)
def test_rejected_credentials_are_reported_in_the_words_of_aws(message: str) -> None:
    (finding,) = check({"aws sts": refuse(f"\n{message}\n", 255)})
    assert finding.status is Status.MISSING
    assert message.rstrip(".") in finding.text
    assert "aws sso login" in finding.remedy


def test_an_account_that_differs_from_the_pinned_one_is_rejected() -> None:
    assert [finding.status for finding in check({"aws sts": CALLER}, account=ACCOUNT)] == [Status.OK, Status.OK]
    finding = check({"aws sts": CALLER}, account="999988887777")[-1]
    assert finding.status is Status.MISSING
    assert f"belong to account {ACCOUNT}, but groundwork:account is 999988887777" in finding.text


@pytest.mark.parametrize(
    ("limit", "status"),
    [(5.0, Status.MISSING), (16.0, Status.NOTE), (51.0, Status.NOTE), (52.0, Status.OK)],
    ids=["too small for the least", "enough for the least", "one too few for all", "enough for all"],
)
def test_quota_is_compared_with_the_cores_of_all_pools(limit: float, status: Status) -> None:
    """Two pools of 4 vCPU: 2 and 2 nodes at least, 3 and 10 at most."""
    (finding,) = check_nodes({**SIZES, "aws service-quotas": quota(limit)})
    assert finding.status is status
    assert "16 to 52" in finding.text
    if status is not Status.OK:
        assert f"--quota-code {STANDARD} --desired-value 52 --region eu-west-1" in finding.remedy


def test_each_family_counts_towards_its_own_quota_and_rare_families_towards_none() -> None:
    pools = {"systemPool": {"size": "inf2.xlarge"}, "userPool": {"size": "p5.48xlarge", "minimum": 1, "maximum": 1}}
    programs = FakePrograms({"aws sts": CALLER, **SIZES, "aws service-quotas": quota(200)})
    found = aws.check(settings(cluster=pools), programs, stack="aws-qa", is_interactive=False, for_deployment=True)
    (finding,) = list(found)[2:-2]
    assert (finding.status, "P instances" in finding.text) == (Status.OK, True)
    assert any("--quota-code L-417A185B" in command for command in programs.commands)


def test_a_gpu_pool_needs_a_quota_but_no_initial_node() -> None:
    *_, found = check_nodes(
        {**SIZES, "aws service-quotas": quota(0)}, cluster={"gpuPool": {"size": "g5.xlarge", "maximum": 3}}
    )
    assert found.status is Status.NOTE
    assert "G and VT instances" in found.text
    assert "0 to 12" in found.text


def test_a_size_that_the_region_does_not_offer_is_rejected_with_its_setting() -> None:
    message = "An error occurred (InvalidInstanceType) when calling the DescribeInstanceTypes operation: m6i.xlarge"
    (finding,) = check_nodes({"aws ec2": refuse(message, 254)})
    assert finding.status is Status.MISSING
    assert "cluster.systemPool.size and cluster.userPool.size m6i.xlarge is not offered in eu-west-1" in finding.text


def tagged(stack: str) -> Any:
    tags = {"project": "groundwork", "stack": stack, "organization": "acme", "owner": "ml"}
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def check_network(addresses: int, vpcs: int, *own: Any, limit: float = 5.0, **changed: Any) -> list[Finding]:
    """The findings on the network's quotas if others have this many addresses and VPCs, and the stack its own."""
    answers = {
        "aws sts": CALLER,
        **SIZES,
        "aws service-quotas": quota(limit),
        "aws ec2 describe-addresses": {
            "Addresses": [*own, {"PublicIp": "192.0.2.1"}, *[tagged("aws-prod")] * addresses]
        },
        "aws ec2 describe-vpcs": {"Vpcs": [*own[:1], {"IsDefault": True}, *[tagged("aws-prod")] * vpcs]},
    }
    return check(answers, for_deployment=True, **changed)[-2:]


@pytest.mark.parametrize(
    ("others", "own", "per_zone", "status"),
    [
        (1, 0, True, Status.OK),
        (2, 0, True, Status.MISSING),
        (2, 0, False, Status.OK),
        (2, 3, True, Status.MISSING),
        (1, 3, True, Status.OK),
        (4, 0, False, Status.MISSING),
    ],
)
def test_addresses_of_others_count_towards_the_quota(others: int, own: int, status: Status, *, per_zone: bool) -> None:
    """One address has no tags. The stack needs only the addresses that it does not have yet."""
    resilience = {"natGatewayPerZone": per_zone}
    found, _ = check_network(others, 0, *[tagged("aws-qa")] * own, resilience=resilience)
    assert (found.status, found.subject) == (status, "quota")
    need = 3 if per_zone else 1
    assert f"the stack needs {need}, others in eu-west-1 have {others + 1}, and the quota is 5" in found.text
    if status is Status.MISSING:
        assert f"--service-code ec2 --quota-code L-0263D0A3 --desired-value {others + 1 + need}" in found.remedy


@pytest.mark.parametrize(("others", "own", "status"), [(3, 0, Status.OK), (4, 0, Status.MISSING), (3, 1, Status.OK)])
def test_the_stack_needs_a_free_network_unless_it_has_one(others: int, own: int, status: Status) -> None:
    """The region's default network counts as well."""
    _, found = check_network(0, others, *[tagged("aws-qa")] * own)
    assert found.status is status
    assert f"VPCs of a region: the stack needs 1, others in eu-west-1 have {others + 1}" in found.text
    if status is Status.MISSING:
        assert "--service-code vpc --quota-code L-F678F1CE --desired-value 6 --region eu-west-1" in found.remedy


def test_a_denied_list_of_addresses_is_a_note() -> None:
    denied = "An error occurred (UnauthorizedOperation) when calling the DescribeAddresses operation: not authorized"
    answers = {
        "aws sts": CALLER,
        **SIZES,
        "aws service-quotas": quota(100),
        "aws ec2 describe-addresses": refuse(denied),
    }
    found = check(answers, for_deployment=True)[-2]
    assert (found.status, "not authorized" in found.text) == (Status.NOTE, True)


def test_a_denied_request_is_a_note_and_does_not_stop_the_command() -> None:
    denied = "An error occurred (AccessDeniedException) when calling the GetServiceQuota operation: not authorized"
    (finding,) = check_nodes({**SIZES, "aws service-quotas": refuse(denied, 254)})
    assert finding.status is Status.NOTE
    assert "not authorized" in finding.text
