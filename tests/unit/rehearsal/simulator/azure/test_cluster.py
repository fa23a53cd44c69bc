"""What AKS requires of a cluster and its agent pools, which changes it refuses, and the cluster's kubeconfig.

Proves the rules that depend on existing resources. Not proven: that Azure has these rules and messages. No test calls
Azure.
"""

from __future__ import annotations

import base64
from contextlib import nullcontext

import pytest
import yaml

from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.values import Values
from tests.support.azure_subscription import (
    AKS,
    CRYPTO_USER,
    ENDPOINTS,
    GROUP,
    OPERATOR,
    READER,
    VALID_INPUTS,
    VAULT,
    Subscription,
    assign_role,
    identity_id,
    subnet_inputs,
    with_change,
)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("networkProfile.serviceCidr", "10.0.0.0/16", "ServiceCidrOverlapExistingSubnetsCidr"),
        ("networkProfile.podCidr", "10.0.0.0/16", "overlaps the subnet CIDR"),
        ("agentPoolProfiles.0.vnetSubnetID", ENDPOINTS, "NAT gateway"),
        ("apiServerAccessProfile.subnetId", ENDPOINTS, "not delegated"),
    ],
)
def test_a_cluster_must_fit_its_network(cluster: Subscription, path: str, value: str, message: str) -> None:
    assign_role(cluster, OPERATOR, identity_id("kubelet"))
    assign_role(cluster, CRYPTO_USER, VAULT)
    inputs = with_change(with_change(AKS, path, value), "networkProfile.dnsServiceIP", None)
    with pytest.raises(CloudError, match=message):
        cluster.create("containerservice:ManagedCluster", inputs)


@pytest.mark.parametrize(("length", "is_accepted"), [(28, True), (29, False)])
def test_the_subnet_of_the_api_server_has_room(cluster: Subscription, length: int, is_accepted: bool) -> None:
    assign_role(cluster, OPERATOR, identity_id("kubelet"))
    assign_role(cluster, CRYPTO_USER, VAULT)
    delegations = [{"name": "service", "serviceName": "Microsoft.ContainerService/managedClusters"}]
    small = subnet_inputs("small", f"10.0.99.0/{length}", delegations=delegations)
    inputs = with_change(AKS, "apiServerAccessProfile.subnetId", cluster.create("network:Subnet", small)[0])
    with nullcontext() if is_accepted else pytest.raises(CloudError, match="too small for the API server"):
        cluster.create("containerservice:ManagedCluster", inputs)


def test_the_identity_of_a_cluster_needs_its_roles_before_creation(cluster: Subscription) -> None:
    with pytest.raises(CloudError, match=r"CustomKubeletIdentityMissingPermissionError.*Key Vault Crypto User"):
        cluster.create("containerservice:ManagedCluster", AKS)
    assign_role(cluster, OPERATOR, identity_id("kubelet"))
    assign_role(cluster, CRYPTO_USER, VAULT)
    cluster.create("containerservice:ManagedCluster", AKS)


def test_a_role_on_a_resource_group_applies_to_its_resources(cluster: Subscription) -> None:
    assign_role(cluster, OPERATOR, GROUP)
    assign_role(cluster, READER, VAULT)
    with pytest.raises(CloudError, match="Key Vault Crypto User"):
        cluster.create("containerservice:ManagedCluster", AKS)
    assign_role(cluster, CRYPTO_USER, GROUP)
    cluster.create("containerservice:ManagedCluster", AKS)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("agentPoolProfiles.0.vmSize", "Standard_D8s_v5", "PropertyChangeNotAllowed"),
        ("agentPoolProfiles.0.name", "other", "new agent pool was introduced"),
    ],
)
def test_the_size_and_the_name_of_an_agent_pool_cannot_change(
    cluster: Subscription, path: str, value: str, message: str
) -> None:
    assign_role(cluster, OPERATOR, identity_id("kubelet"))
    assign_role(cluster, CRYPTO_USER, VAULT)
    id_, _ = cluster.create("containerservice:ManagedCluster", AKS)
    with pytest.raises(CloudError, match=message):
        cluster.update("containerservice:ManagedCluster", id_, with_change(AKS, path, value))
    cluster.update("containerservice:ManagedCluster", id_, with_change(AKS, "agentPoolProfiles.0.maxCount", 9))


def test_the_kubeconfig_names_the_cluster_and_contains_no_credential(cluster: Subscription) -> None:
    assign_role(cluster, OPERATOR, identity_id("kubelet"))
    assign_role(cluster, CRYPTO_USER, VAULT)
    _, outputs = cluster.create("containerservice:ManagedCluster", AKS)
    token = "azure-native:containerservice:listManagedClusterUserCredentials"
    result = cluster.simulation.invoke(token, Values({"resourceGroupName": "rg", "resourceName": "aks"}))
    assert ("kubeconfigs",) in result.secrets
    kubeconfig = yaml.safe_load(base64.b64decode(result.plain["kubeconfigs"][0]["value"]))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == f"https://{outputs['privateFQDN']}:443"
    assert set(kubeconfig["users"][0]["user"]) == {"exec"}
    with pytest.raises(CloudError, match="ResourceNotFound"):
        cluster.simulation.invoke(token, Values({"resourceGroupName": "rg", "resourceName": "missing"}))


def test_a_maintenance_window_cannot_begin_in_the_past(cluster: Subscription) -> None:
    assign_role(cluster, OPERATOR, identity_id("kubelet"))
    assign_role(cluster, CRYPTO_USER, VAULT)
    cluster.create("containerservice:ManagedCluster", AKS)
    kind, start = "containerservice:MaintenanceConfiguration", "maintenanceWindow.startDate"
    with pytest.raises(CloudError, match="startDate 2026-01-01 of the maintenance window is before"):
        cluster.create(kind, with_change(VALID_INPUTS[kind], start, "2026-01-01"))
    cluster.create(kind, VALID_INPUTS[kind])
    upgrades = with_change(VALID_INPUTS[kind], "configName", "aksManagedAutoUpgradeSchedule")
    cluster.create(kind, with_change(upgrades, start, None), "without-start")
