"""What AWS requires of subnets, gateways and VPC endpoints in relation to existing ones.

Not proven: that AWS has these rules. No test calls AWS.
"""

from __future__ import annotations

import pytest

from rehearsal.simulator.core.errors import CloudError
from tests.support.aws_account import ENDPOINT, SUBNET, VPC, Account


def test_subnets_lie_in_their_vpc_and_do_not_overlap(account: Account) -> None:
    vpc = account.create_vpc()
    account.create(SUBNET, vpcId=vpc, cidrBlock="10.0.0.0/18")
    with pytest.raises(CloudError, match=r"InvalidSubnet\.Range: The CIDR '10\.1\.0\.0/24' is invalid"):
        account.create(SUBNET, vpcId=vpc, cidrBlock="10.1.0.0/24")
    with pytest.raises(CloudError, match=r"InvalidSubnet\.Conflict"):
        account.create(SUBNET, vpcId=vpc, cidrBlock="10.0.32.0/24")


def test_a_transit_gateway_is_attached_once_in_each_zone(account: Account) -> None:
    attachment, vpc = "aws:ec2transitgateway/vpcAttachment:VpcAttachment", account.create_vpc()
    first, second, other = account.create_subnets(vpc, "aab")
    gateway = {"transitGatewayId": "tgw-0123456789abcdef0", "vpcId": vpc}
    with pytest.raises(CloudError, match="DuplicateSubnetsInSameZone"):
        account.create(attachment, **gateway, subnetIds=[first, second])
    account.create(attachment, **gateway, subnetIds=[first, other])
    with pytest.raises(CloudError, match="DuplicateTransitGatewayAttachment"):
        account.create(attachment, **gateway, subnetIds=[first, other])


def test_a_nat_gateway_needs_the_vpcs_single_internet_gateway(account: Account) -> None:
    vpc = account.create_vpc()
    (subnet,) = account.create_subnets(vpc, "a")
    nat = {"subnetId": subnet, "allocationId": account.create("aws:ec2/eip:Eip", domain="vpc")}
    with pytest.raises(CloudError, match=r"Gateway\.NotAttached"):
        account.create("aws:ec2/natGateway:NatGateway", **nat)
    account.create("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)
    account.create("aws:ec2/natGateway:NatGateway", **nat)
    with pytest.raises(CloudError, match=r"Resource\.AlreadyAssociated"):
        account.create("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)


@pytest.mark.parametrize(
    ("dns", "zones", "message"),
    [(True, "ab", ""), (False, "ab", "requires both enableDnsSupport"), (True, "aa", "DuplicateSubnetsInSameZone")],
)
def test_interface_endpoints_need_dns_and_one_subnet_per_zone(
    account: Account, dns: bool, zones: str, message: str
) -> None:
    vpc = account.create_vpc(enableDnsHostnames=dns)
    endpoint = {
        "vpcId": vpc,
        "serviceName": "com.amazonaws.eu-west-1.kms",
        "vpcEndpointType": "Interface",
        "subnetIds": account.create_subnets(vpc, zones),
        "privateDnsEnabled": True,
    }
    if message:
        with pytest.raises(CloudError, match=message):
            account.create(ENDPOINT, **endpoint)
        return
    account.create(ENDPOINT, **endpoint)
    with pytest.raises(CloudError, match=r"conflicting DNS domain for kms\.eu-west-1\.amazonaws\.com"):
        account.create(ENDPOINT, **endpoint)


def test_a_referenced_resource_cannot_be_deleted(account: Account) -> None:
    vpc = account.create_vpc()
    (subnet,) = account.create_subnets(vpc, "a")
    with pytest.raises(CloudError, match=f"in use by {subnet}"):
        account.delete(VPC, vpc)
