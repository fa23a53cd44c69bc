"""How networks of AWS fit together: subnets, ways out and endpoints.

Proves the rules in rehearsal/simulator/aws that depend on what exists. That AWS has them is not proven: nothing here
has met the real cloud.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.core.errors import CloudError
from tests.support.aws_account import ENDPOINT, SUBNET, VPC, Account


def test_subnets_lie_in_their_network_and_beside_each_other(account: Account) -> None:
    vpc = account.vpc()
    account.create(SUBNET, vpcId=vpc, cidrBlock="10.0.0.0/18")
    with pytest.raises(CloudError, match=r"InvalidSubnet\.Range: The CIDR '10\.1\.0\.0/24' is invalid"):
        account.create(SUBNET, vpcId=vpc, cidrBlock="10.1.0.0/24")
    with pytest.raises(CloudError, match=r"InvalidSubnet\.Conflict"):
        account.create(SUBNET, vpcId=vpc, cidrBlock="10.0.32.0/24")


def test_nat_needs_an_internet_gateway_of_which_there_is_one(account: Account) -> None:
    vpc = account.vpc()
    (subnet,) = account.subnets(vpc, "a")
    nat = {"subnetId": subnet, "allocationId": account.create("aws:ec2/eip:Eip", domain="vpc")}
    with pytest.raises(CloudError, match=r"Gateway\.NotAttached"):
        account.create("aws:ec2/natGateway:NatGateway", **nat)
    account.create("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)
    account.create("aws:ec2/natGateway:NatGateway", **nat)
    with pytest.raises(CloudError, match=r"Resource\.AlreadyAssociated"):
        account.create("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)


@pytest.mark.parametrize(
    ("dns", "zones", "words"),
    [(True, "ab", ""), (False, "ab", "requires both enableDnsSupport"), (True, "aa", "DuplicateSubnetsInSameZone")],
)
def test_interface_endpoints_need_dns_and_a_zone_each(account: Account, dns: bool, zones: str, words: str) -> None:
    vpc = account.vpc(enableDnsHostnames=dns)
    endpoint = {
        "vpcId": vpc,
        "serviceName": "com.amazonaws.eu-west-1.kms",
        "vpcEndpointType": "Interface",
        "subnetIds": account.subnets(vpc, zones),
        "privateDnsEnabled": True,
    }
    if words:
        with pytest.raises(CloudError, match=words):
            account.create(ENDPOINT, **endpoint)
        return
    account.create(ENDPOINT, **endpoint)
    with pytest.raises(CloudError, match=r"conflicting DNS domain for kms\.eu-west-1\.amazonaws\.com"):
        account.create(ENDPOINT, **endpoint)


def test_what_is_referred_to_cannot_be_deleted(account: Account) -> None:
    vpc = account.vpc()
    (subnet,) = account.subnets(vpc, "a")
    with pytest.raises(CloudError, match=f"in use by {subnet}"):
        account.delete(VPC, vpc)
