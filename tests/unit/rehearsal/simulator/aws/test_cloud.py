"""What the models of AWS have in common: unique names, references, regions, and the formats of outputs.

Not proven: that the real AWS responds in the same way. No test calls AWS.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.aws.cloud import ACCOUNT
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import (
    BUCKET,
    CLUSTER,
    DATABASE,
    DOMAIN,
    ECR,
    ENDPOINT,
    GROUP,
    LOGS,
    POSTGRES,
    SECRET,
    TEMPLATE,
    Account,
    EksCluster,
    allow,
    policy,
)


def test_the_simulated_account_is_the_one_that_the_provider_is_pinned_to(account: Account) -> None:
    identity = "aws:index/getCallerIdentity:getCallerIdentity"
    assert account.simulation.invoke(identity, Values({})).plain["accountId"] == ACCOUNT
    account.simulation.configure({"region": "eu-west-1", "allowedAccountIds": '["999988887777"]'})
    assert account.simulation.invoke(identity, Values({})).plain["accountId"] == "999988887777"


def test_a_name_that_is_not_the_id_must_be_unique(account: Account) -> None:
    vpc = account.create_vpc()
    account.create(GROUP, name="db", vpcId=vpc)
    account.create(GROUP, name="db", vpcId=account.create_vpc("10.9.0.0/16"))
    with pytest.raises(
        CloudError, match=r"InvalidGroup\.Duplicate: The security group 'db' already exists for VPC 'vpc-"
    ):
        account.create(GROUP, name="db", vpcId=vpc)
    account.create(SECRET, name="acme/db")
    with pytest.raises(CloudError, match=r"ResourceExistsException.*acme/db already exists"):
        account.create(SECRET, name="acme/db")


@pytest.mark.parametrize(("type_", "name"), [(GROUP, "name"), (DOMAIN, "domainName")])
def test_a_replacement_with_the_same_name_is_deleted_first(account: Account, type_: str, name: str) -> None:
    old = Values({name: "studio", "vpcId": "vpc-1"})
    for new, deletes_first in (("studio", True), ("workshop", False)):
        difference = account.simulation.diff("urn::it", type_, "id-1", old, Values({name: new, "vpcId": "vpc-2"}))
        assert "vpcId" in difference.replaces
        assert difference.delete_before_replace is deletes_first


@pytest.mark.parametrize("type_", [SECRET, TEMPLATE])
def test_a_replacement_with_another_name_is_created_first(account: Account, type_: str) -> None:
    """Only another name replaces resources of these types, so a replacement never has the same name."""
    difference = account.simulation.diff("urn::it", type_, "id-1", Values({"name": "one"}), Values({"name": "two"}))
    assert (difference.replaces, difference.delete_before_replace) == (["name"], False)


MISSING_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("vpc-0123456789abcdef0", "InvalidVpcID.NotFound: The vpc ID 'vpc-0123456789abcdef0' does not exist"),
        ("subnet-0123456789abcdef0", "InvalidSubnetID.NotFound"),
        ("sg-0123456789abcdef0", "InvalidGroup.NotFound"),
        (MISSING_KEY, f"NotFoundException: Key '{MISSING_KEY}' does not exist"),
        ("arn:aws:s3:::acme-gone/*", "NoSuchBucket"),
        (f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/gone:*", "ResourceNotFoundException"),
        ("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", None),
        ("arn:aws:kms:eu-west-1:999999999999:key/1", None),
        ("vpc-is-a-word", None),
        (policy(allow("s3:*", Resource="arn:aws:s3:::acme-gone")), None),
    ],
)
def test_references_to_missing_resources_are_refused(account: Account, value: str, message: str | None) -> None:
    if message is None:
        account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})
    else:
        with pytest.raises(CloudError) as refusal:
            account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})
        assert message in str(refusal.value)


def test_references_to_parts_of_existing_resources_pass(account: Account) -> None:
    bucket = account.get_arn(BUCKET, account.create(BUCKET, bucket="acme-artifacts"))
    group = account.get_arn(LOGS, account.create(LOGS, name="/acme/a"))
    for value in (bucket, f"{bucket}/", f"{bucket}/mlflow/*", f"{group}:*"):
        account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})


@pytest.mark.parametrize(
    ("region", "message"),
    [("", 'missing required configuration key "aws:region"'), ("westeurope", "invalid AWS Region")],
)
def test_the_provider_requires_a_valid_region(account: Account, region: str, message: str) -> None:
    with pytest.raises(CloudError, match=message):
        account.simulation.configure({"region": region})


@pytest.mark.parametrize(
    ("region", "zones"),
    [
        ("eu-west-1", ["euw1-az1", "euw1-az2", "euw1-az3"]),
        ("ca-central-1", ["cac1-az1", "cac1-az2", "cac1-az4"]),
        ("ap-southeast-2", ["apse2-az1", "apse2-az2", "apse2-az3"]),
    ],
)
def test_availability_zones_are_those_of_the_region(account: Account, region: str, zones: list[str]) -> None:
    account.simulation.configure({"region": region})
    function = "aws:index/getAvailabilityZones:getAvailabilityZones"
    assert account.simulation.invoke(function, Values({})).plain["zoneIds"] == zones
    without = account.simulation.invoke(function, Values({"excludeZoneIds": zones[:1]}))
    assert without.plain["zoneIds"] == zones[1:]


def test_outputs_have_the_formats_of_aws(account: Account, eks: EksCluster) -> None:
    cluster = account.get_outputs(CLUSTER, "acme")
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    assert issuer.startswith("https://oidc.eks.eu-west-1.amazonaws.com/id/")
    assert cluster["arn"] == f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/acme"
    database = account.get_outputs(DATABASE, account.create(DATABASE, **POSTGRES, port=5432))
    assert database["endpoint"] == f"{database['address']}:5432"
    repository = account.get_outputs(ECR, account.create(ECR, name="acme/serving"))
    assert repository["repositoryUrl"] == f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/acme/serving"
    endpoint = account.create(ENDPOINT, vpcId=eks.vpc, serviceName="com.amazonaws.eu-west-1.dynamodb")
    assert account.get_outputs(ENDPOINT, endpoint)["cidrBlocks"]
