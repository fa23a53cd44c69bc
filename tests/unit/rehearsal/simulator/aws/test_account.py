"""What all of the simulated AWS shares: names, references, regions, and the formats of what it hands out.

Proves what the models in rehearsal/simulator/aws have in common. That the real AWS answers so is not proven: nothing
here has met it.
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
    Kubernetes,
    allow,
    policy,
)


def test_names_beside_ids_are_taken_once(account: Account) -> None:
    vpc = account.vpc()
    account.create(GROUP, name="db", vpcId=vpc)
    account.create(GROUP, name="db", vpcId=account.vpc("10.9.0.0/16"))
    with pytest.raises(
        CloudError, match=r"InvalidGroup\.Duplicate: The security group 'db' already exists for VPC 'vpc-"
    ):
        account.create(GROUP, name="db", vpcId=vpc)
    account.create(SECRET, name="acme/db")
    with pytest.raises(CloudError, match=r"ResourceExistsException.*acme/db already exists"):
        account.create(SECRET, name="acme/db")


@pytest.mark.parametrize(("type_", "name"), [(GROUP, "name"), (DOMAIN, "domainName")])
def test_a_replacement_that_keeps_a_name_beside_its_id_deletes_first(account: Account, type_: str, name: str) -> None:
    old = Values({name: "studio", "vpcId": "vpc-1"})
    for new, deletes_first in (("studio", True), ("workshop", False)):
        found = account.simulation.diff("urn::it", type_, "id-1", old, Values({name: new, "vpcId": "vpc-2"}))
        assert "vpcId" in found.replaces
        assert found.delete_before_replace is deletes_first


@pytest.mark.parametrize("type_", [SECRET, TEMPLATE])
def test_a_new_name_needs_no_deletion_first(account: Account, type_: str) -> None:
    """Their name is the only thing that replaces these, so no replacement of them keeps it."""
    found = account.simulation.diff("urn::it", type_, "id-1", Values({"name": "one"}), Values({"name": "two"}))
    assert (found.replaces, found.delete_before_replace) == (["name"], False)


ELSEWHERE = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("vpc-0123456789abcdef0", "InvalidVpcID.NotFound: The vpc ID 'vpc-0123456789abcdef0' does not exist"),
        ("subnet-0123456789abcdef0", "InvalidSubnetID.NotFound"),
        ("sg-0123456789abcdef0", "InvalidGroup.NotFound"),
        (ELSEWHERE, f"NotFoundException: Key '{ELSEWHERE}' does not exist"),
        ("arn:aws:s3:::acme-gone/*", "NoSuchBucket"),
        (f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/gone:*", "ResourceNotFoundException"),
        ("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", None),
        ("arn:aws:kms:eu-west-1:999999999999:key/1", None),
        ("vpc-is-a-word", None),
        (policy(allow("s3:*", Resource="arn:aws:s3:::acme-gone")), None),
    ],
)
def test_references_to_what_is_not_there_are_refused(account: Account, value: str, words: str | None) -> None:
    if words is None:
        account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})
    else:
        with pytest.raises(CloudError) as refusal:
            account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})
        assert words in str(refusal.value)


def test_references_below_what_exists_pass(account: Account) -> None:
    bucket = account.arn(BUCKET, account.create(BUCKET, bucket="acme-artifacts"))
    group = account.arn(LOGS, account.create(LOGS, name="/acme/a"))
    for value in (bucket, f"{bucket}/", f"{bucket}/mlflow/*", f"{group}:*"):
        account.create("aws:ec2/eip:Eip", domain="vpc", tags={"refers": value})


@pytest.mark.parametrize(
    ("region", "words"), [("", 'missing required configuration key "aws:region"'), ("westeurope", "invalid AWS Region")]
)
def test_the_provider_wants_a_region(account: Account, region: str, words: str) -> None:
    with pytest.raises(CloudError, match=words):
        account.simulation.configure({"region": region})


@pytest.mark.parametrize(
    ("region", "zones"),
    [
        ("eu-west-1", ["euw1-az1", "euw1-az2", "euw1-az3"]),
        ("ca-central-1", ["cac1-az1", "cac1-az2", "cac1-az4"]),
        ("ap-southeast-2", ["apse2-az1", "apse2-az2", "apse2-az3"]),
    ],
)
def test_zones_have_the_names_of_their_region(account: Account, region: str, zones: list[str]) -> None:
    account.simulation.configure({"region": region})
    function = "aws:index/getAvailabilityZones:getAvailabilityZones"
    assert account.simulation.invoke(function, Values({})).plain["zoneIds"] == zones
    without = account.simulation.invoke(function, Values({"excludeZoneIds": zones[:1]}))
    assert without.plain["zoneIds"] == zones[1:]


def test_outputs_have_the_clouds_formats(account: Account, kubernetes: Kubernetes) -> None:
    cluster = account.outputs(CLUSTER, "acme")
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    assert issuer.startswith("https://oidc.eks.eu-west-1.amazonaws.com/id/")
    assert cluster["arn"] == f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/acme"
    database = account.outputs(DATABASE, account.create(DATABASE, **POSTGRES, port=5432))
    assert database["endpoint"] == f"{database['address']}:5432"
    repository = account.outputs(ECR, account.create(ECR, name="acme/serving"))
    assert repository["repositoryUrl"] == f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/acme/serving"
    endpoint = account.create(ENDPOINT, vpcId=kubernetes.vpc, serviceName="com.amazonaws.eu-west-1.dynamodb")
    assert account.outputs(ENDPOINT, endpoint)["cidrBlocks"]
