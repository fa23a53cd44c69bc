"""When AKS starts a cluster, what of it may change, and what its kubeconfig says.

Proves the rules of rehearsal/simulator/azure/cluster.py that need a state to be judged in. That Azure has them, or says
them in these words, is not proven: no test asks Azure.
"""

from __future__ import annotations

import base64

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
    VAULT,
    Azure,
    changed,
    identity_id,
    permit,
)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("networkProfile.serviceCidr", "10.0.0.0/16", "ServiceCidrOverlapExistingSubnetsCidr"),
        ("networkProfile.podCidr", "10.0.0.0/16", "overlaps the subnet CIDR"),
        ("agentPoolProfiles.0.vnetSubnetID", ENDPOINTS, "NAT gateway"),
        ("apiServerAccessProfile.subnetId", ENDPOINTS, "not delegated"),
    ],
)
def test_a_cluster_must_fit_its_network(cluster: Azure, path: str, value: str, words: str) -> None:
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    inputs = changed(changed(AKS, path, value), "networkProfile.dnsServiceIP", None)
    with pytest.raises(CloudError, match=words):
        cluster.create("containerservice:ManagedCluster", inputs)


def test_a_clusters_identity_needs_its_roles_first(cluster: Azure) -> None:
    with pytest.raises(CloudError, match=r"CustomKubeletIdentityMissingPermissionError.*Key Vault Crypto User"):
        cluster.create("containerservice:ManagedCluster", AKS)
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    cluster.create("containerservice:ManagedCluster", AKS)


def test_a_role_on_a_group_reaches_what_is_in_it(cluster: Azure) -> None:
    permit(cluster, OPERATOR, GROUP)
    permit(cluster, READER, VAULT)
    with pytest.raises(CloudError, match="Key Vault Crypto User"):
        cluster.create("containerservice:ManagedCluster", AKS)
    permit(cluster, CRYPTO_USER, GROUP)
    cluster.create("containerservice:ManagedCluster", AKS)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("agentPoolProfiles.0.vmSize", "Standard_D8s_v5", "PropertyChangeNotAllowed"),
        ("agentPoolProfiles.0.name", "other", "new agent pool was introduced"),
    ],
)
def test_pools_of_a_cluster_keep_their_shape(cluster: Azure, path: str, value: str, words: str) -> None:
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    id_, _ = cluster.create("containerservice:ManagedCluster", AKS)
    with pytest.raises(CloudError, match=words):
        cluster.update("containerservice:ManagedCluster", id_, changed(AKS, path, value))
    cluster.update("containerservice:ManagedCluster", id_, changed(AKS, "agentPoolProfiles.0.maxCount", 9))


def test_the_kubeconfig_leads_to_the_cluster_and_holds_no_credential(cluster: Azure) -> None:
    permit(cluster, OPERATOR, identity_id("kubelet"))
    permit(cluster, CRYPTO_USER, VAULT)
    _, outputs = cluster.create("containerservice:ManagedCluster", AKS)
    token = "azure-native:containerservice:listManagedClusterUserCredentials"
    answer = cluster.simulation.invoke(token, Values({"resourceGroupName": "rg", "resourceName": "aks"}))
    assert ("kubeconfigs",) in answer.secrets
    kubeconfig = yaml.safe_load(base64.b64decode(answer.plain["kubeconfigs"][0]["value"]))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == f"https://{outputs['privateFQDN']}:443"
    assert set(kubeconfig["users"][0]["user"]) == {"exec"}
    with pytest.raises(CloudError, match="ResourceNotFound"):
        cluster.simulation.invoke(token, Values({"resourceGroupName": "rg", "resourceName": "none"}))
