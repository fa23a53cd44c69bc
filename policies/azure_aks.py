"""Azure Kubernetes Service: who reaches the API server, who they are, and what nodes expose."""

from policies.addresses import narrow_ranges
from policies.control import control
from policies.props import (
    Props,
    Verdicts,
    any_of,
    expect,
    is_false,
    is_true,
    one_of,
)

CLUSTER = ("azure-native:containerservice:ManagedCluster",)
POOL = ("azure-native:containerservice:AgentPool",)


@control(
    "azure-aks-rbac",
    title="AKS clusters use Kubernetes RBAC",
    severity="critical",
    types=CLUSTER,
    remedy="leave enableRBAC unset or set it to true; it can't be changed later",
    anchors=("CKV_AZURE_5", "AZU-0042"),
)
def rbac(props: Props) -> Verdicts:
    yield from expect(props, "enableRBAC", is_true, "RBAC is switched off", absent_passes=True)


@control(
    "azure-aks-local-accounts",
    title="AKS clusters have no static administrator account",
    severity="high",
    types=CLUSTER,
    remedy="set disableLocalAccounts to true",
    anchors=("CKV_AZURE_141", "AzPolicy:local-auth-disabled"),
)
def local_accounts(props: Props) -> Verdicts:
    yield from expect(props, "disableLocalAccounts", is_true, "a certificate opens the cluster to its holder")


@control(
    "azure-aks-api-server-access",
    title="The AKS API server is private or limited to named ranges",
    severity="critical",
    types=CLUSTER,
    remedy="set apiServerAccessProfile.enablePrivateCluster, or list narrow authorizedIPRanges",
    anchors=("CKV_AZURE_115", "CKV_AZURE_6", "CIS-AKS 5.4.1", "CIS-AKS 5.4.2"),
)
def api_server_access(props: Props) -> Verdicts:
    private = expect(props, "apiServerAccessProfile.enablePrivateCluster", is_true, "the API server is public")
    yield from any_of([private, narrow_ranges(props, "apiServerAccessProfile.authorizedIPRanges")])


@control(
    "azure-aks-entra-authorization",
    title="AKS clusters take identities and permissions from Entra ID",
    severity="high",
    types=CLUSTER,
    remedy="set aadProfile.managed and aadProfile.enableAzureRBAC to true",
    anchors=("CIS-AKS 5.5.1", "CIS-AKS 5.5.2", "AzPolicy:Entra-ID-integration"),
)
def entra_authorization(props: Props) -> Verdicts:
    yield from expect(props, "aadProfile.managed", is_true, "Entra ID does not sign users in")
    yield from expect(props, "aadProfile.enableAzureRBAC", is_true, "Azure roles do not decide what users may do")


@control(
    "azure-aks-managed-identity",
    title="AKS clusters act under a managed identity",
    severity="high",
    types=CLUSTER,
    remedy="set identity.type to UserAssigned or SystemAssigned",
    anchors=("AzPolicy:use-managed-identities",),
)
def managed_identity(props: Props) -> Verdicts:
    accepted = one_of("UserAssigned", "SystemAssigned")
    yield from expect(props, "identity.type", accepted, "the cluster needs a service principal's password")


@control(
    "azure-aks-workload-identity",
    title="AKS pods get cloud identities without secrets",
    severity="high",
    types=CLUSTER,
    remedy="set securityProfile.workloadIdentity.enabled and oidcIssuerProfile.enabled to true",
    anchors=("CIS-AKS 5.2.1", "AzPolicy:workload-identity"),
)
def workload_identity(props: Props) -> Verdicts:
    yield from expect(props, "securityProfile.workloadIdentity.enabled", is_true, "workload identity is off")
    yield from expect(props, "oidcIssuerProfile.enabled", is_true, "workload identity has no issuer")


@control(
    "azure-aks-network-policy",
    title="AKS clusters enforce network policies",
    severity="high",
    types=CLUSTER,
    remedy="set networkProfile.networkPolicy to cilium, azure or calico",
    anchors=("CKV_AZURE_7", "AZU-0043", "CIS-AKS 5.4.4"),
)
def network_policy(props: Props) -> Verdicts:
    accepted = one_of("azure", "calico", "cilium")
    yield from expect(props, "networkProfile.networkPolicy", accepted, "NetworkPolicy objects have no effect")


@control(
    "azure-aks-node-public-ip",
    title="AKS nodes have no public addresses",
    severity="high",
    types=CLUSTER + POOL,
    remedy="leave enableNodePublicIP unset or set it to false on every pool",
    anchors=("CKV_AZURE_143", "CIS-AKS 5.4.3"),
)
def node_public_ip(props: Props) -> Verdicts:
    # The first path is the cluster's own list of pools, the second a pool declared as a resource.
    for path in ("agentPoolProfiles[].enableNodePublicIP", "enableNodePublicIP"):
        yield from expect(props, path, is_false, "every node is on the Internet", absent_passes=True)


@control(
    "azure-aks-upgrade-channels",
    title="AKS clusters and their node images are patched automatically",
    severity="medium",
    types=CLUSTER,
    remedy="set autoUpgradeProfile.upgradeChannel and nodeOSUpgradeChannel to anything but none",
    anchors=("CKV_AZURE_171", "AzPolicy:cluster-auto-upgrade", "AzPolicy:node-os-auto-upgrade"),
)
def upgrade_channels(props: Props) -> Verdicts:
    for channel in ("upgradeChannel", "nodeOSUpgradeChannel"):
        path = f"autoUpgradeProfile.{channel}"
        yield from expect(props, path, lambda value: str(value).lower() != "none", "patches wait for a person")
