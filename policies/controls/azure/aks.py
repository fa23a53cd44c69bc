"""Azure Kubernetes Service: access to the API server, authentication, network policy, and node exposure."""

from policies.controls.addresses import expect_narrow_ranges
from policies.engine.expectations import IS_FALSE, IS_TRUE, expect, none_of, one_of, pass_if_any
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

CLUSTER = ("azure-native:containerservice:ManagedCluster",)
POOL = ("azure-native:containerservice:AgentPool",)


@control(
    "azure-aks-rbac",
    title="AKS clusters use Kubernetes RBAC",
    severity="critical",
    types=CLUSTER,
    remedy="leave enableRBAC unset or set it to true; it can't be changed later",
    references=("CKV_AZURE_5", "AZU-0042"),
)
def rbac(props: Props) -> Findings:
    yield from expect(props, "enableRBAC", IS_TRUE, "every authenticated user can do everything", absent_passes=True)


@control(
    "azure-aks-local-accounts",
    title="AKS clusters have no static administrator account",
    severity="high",
    types=CLUSTER,
    remedy="set disableLocalAccounts to true",
    references=("CKV_AZURE_141", "AzPolicy:local-auth-disabled"),
)
def local_accounts(props: Props) -> Findings:
    yield from expect(
        props, "disableLocalAccounts", IS_TRUE, "the cluster's certificate grants full access to everyone who has it"
    )


@control(
    "azure-aks-api-server-access",
    title="The AKS API server is private or limited to named ranges",
    severity="critical",
    types=CLUSTER,
    remedy="set apiServerAccessProfile.enablePrivateCluster, or list narrow authorizedIPRanges",
    references=("CKV_AZURE_6", "CIS-AKS 5.4.1"),
)
def api_server_access(props: Props) -> Findings:
    private = expect(props, "apiServerAccessProfile.enablePrivateCluster", IS_TRUE, "the API server is public")
    yield from pass_if_any([private, expect_narrow_ranges(props, "apiServerAccessProfile.authorizedIPRanges")])


@control(
    "azure-aks-entra-authorization",
    title="AKS clusters authenticate and authorize users through Entra ID",
    severity="high",
    types=CLUSTER,
    remedy="set aadProfile.managed and aadProfile.enableAzureRBAC to true",
    references=("CIS-AKS 5.5.1", "CIS-AKS 5.5.2", "AzPolicy:Entra-ID-integration"),
)
def entra_authorization(props: Props) -> Findings:
    yield from expect(props, "aadProfile.managed", IS_TRUE, "users do not sign in through Entra ID")
    yield from expect(props, "aadProfile.enableAzureRBAC", IS_TRUE, "Azure roles do not authorize users")


@control(
    "azure-aks-managed-identity",
    title="AKS clusters use a managed identity",
    severity="high",
    types=CLUSTER,
    remedy="set identity.type to UserAssigned or SystemAssigned",
    references=("AzPolicy:use-managed-identities",),
)
def managed_identity(props: Props) -> Findings:
    accepted = one_of("UserAssigned", "SystemAssigned")
    yield from expect(props, "identity.type", accepted, "the cluster needs the password of a service principal")


@control(
    "azure-aks-workload-identity",
    title="AKS pods authenticate to Azure without stored secrets",
    severity="high",
    types=CLUSTER,
    remedy="set securityProfile.workloadIdentity.enabled and oidcIssuerProfile.enabled to true",
    references=("CIS-AKS 5.2.1", "AzPolicy:workload-identity"),
)
def workload_identity(props: Props) -> Findings:
    yield from expect(props, "securityProfile.workloadIdentity.enabled", IS_TRUE, "workload identity is disabled")
    yield from expect(props, "oidcIssuerProfile.enabled", IS_TRUE, "workload identity has no token issuer")


@control(
    "azure-aks-network-policy",
    title="AKS clusters enforce network policies",
    severity="high",
    types=CLUSTER,
    remedy="set networkProfile.networkPolicy to cilium, azure or calico",
    references=("CKV_AZURE_7", "AZU-0043", "CIS-AKS 5.4.4"),
)
def network_policy(props: Props) -> Findings:
    accepted = one_of("azure", "calico", "cilium")
    yield from expect(props, "networkProfile.networkPolicy", accepted, "NetworkPolicy objects have no effect")


@control(
    "azure-aks-node-public-ip",
    title="AKS nodes have no public addresses",
    severity="high",
    types=CLUSTER + POOL,
    remedy="leave enableNodePublicIP unset or set it to false on every pool",
    references=("CKV_AZURE_143", "CIS-AKS 5.4.3"),
)
def node_public_ip(props: Props) -> Findings:
    # The first path is the cluster's own list of pools, the second a pool that is a separate resource.
    for path in ("agentPoolProfiles[*].enableNodePublicIP", "enableNodePublicIP"):
        yield from expect(props, path, IS_FALSE, "every node has a public address", absent_passes=True)


@control(
    "azure-aks-upgrade-channels",
    title="AKS clusters and their node images are patched automatically",
    severity="medium",
    types=CLUSTER,
    remedy="set autoUpgradeProfile.upgradeChannel and nodeOSUpgradeChannel to a value other than none",
    references=("CKV_AZURE_171", "AzPolicy:cluster-auto-upgrade", "AzPolicy:node-os-auto-upgrade"),
)
def upgrade_channels(props: Props) -> Findings:
    for channel in ("upgradeChannel", "nodeOSUpgradeChannel"):
        path = f"autoUpgradeProfile.{channel}"
        yield from expect(
            props, path, none_of("must not switch upgrades off", "none"), "patches have to be installed by hand"
        )
