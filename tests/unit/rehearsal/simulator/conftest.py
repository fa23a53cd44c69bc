"""An AWS account and an Azure subscription, each with the resources that many tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws_account import Account, EksCluster
from tests.support.azure_subscription import GROUP, Subscription, in_group, subnet_inputs


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.state.close()


@pytest.fixture
def eks(account: Account) -> EksCluster:
    return EksCluster(account)


@pytest.fixture
def azure() -> Subscription:
    """A resource group, a virtual network with four subnets, and a key vault with a key."""
    azure = Subscription()
    azure.create_valid("resources:ResourceGroup", "network:VirtualNetwork", "keyvault:Vault", "keyvault:Key")
    azure.create("network:NatGateway", in_group(natGatewayName="nat", sku={"name": "Standard"}))
    nat = f"{GROUP}/providers/Microsoft.Network/natGateways/nat"
    azure.create("network:Subnet", subnet_inputs("nodes", "10.0.0.0/18", natGateway={"id": nat}))
    azure.create("network:Subnet", subnet_inputs("endpoints", "10.0.64.0/24"))
    for name, block, service in (
        ("database", "10.0.65.0/24", "Microsoft.DBforPostgreSQL/flexibleServers"),
        ("api", "10.0.66.0/24", "Microsoft.ContainerService/managedClusters"),
    ):
        azure.create("network:Subnet", subnet_inputs(name, block, delegations=[{"name": "s", "serviceName": service}]))
    return azure


@pytest.fixture
def cluster(azure: Subscription) -> Subscription:
    """A subscription with everything that a cluster needs, except the roles of its identity."""
    for name in ("control", "kubelet"):
        azure.create("managedidentity:UserAssignedIdentity", in_group(resourceName=name), name)
    return azure
