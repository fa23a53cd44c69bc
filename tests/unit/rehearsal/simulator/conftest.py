"""Worlds for the tests of the models: an AWS account and an Azure subscription, each with what many tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws_account import Account, Kubernetes
from tests.support.azure_subscription import GROUP, Azure, in_group, subnet


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.state.close()


@pytest.fixture
def kubernetes(account: Account) -> Kubernetes:
    return Kubernetes(account)


@pytest.fixture
def azure() -> Azure:
    """A group, a network with its four subnets, and a vault with a key."""
    azure = Azure()
    azure.good("resources:ResourceGroup", "network:VirtualNetwork", "keyvault:Vault", "keyvault:Key")
    azure.create("network:NatGateway", in_group(natGatewayName="nat", sku={"name": "Standard"}))
    nat = f"{GROUP}/providers/Microsoft.Network/natGateways/nat"
    azure.create("network:Subnet", subnet("nodes", "10.0.0.0/18", natGateway={"id": nat}))
    azure.create("network:Subnet", subnet("endpoints", "10.0.64.0/24"))
    for name, block, service in (
        ("database", "10.0.65.0/24", "Microsoft.DBforPostgreSQL/flexibleServers"),
        ("api", "10.0.66.0/24", "Microsoft.ContainerService/managedClusters"),
    ):
        azure.create("network:Subnet", subnet(name, block, delegations=[{"name": "s", "serviceName": service}]))
    return azure


@pytest.fixture
def cluster(azure: Azure) -> Azure:
    """What a cluster needs beside the network, all but the roles of its identity."""
    for name in ("control", "kubelet"):
        azure.create("managedidentity:UserAssignedIdentity", in_group(resourceName=name), name)
    return azure
