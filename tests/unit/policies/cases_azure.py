"""The five cases of every control on Azure."""

from typing import Any

from tests.unit.policies.harness import Cases, Res, Subject, U, at, on, retyped, several

AKS, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
ACR, CACHE = "azure-native:containerregistry:Registry", "azure-native:containerregistry:CacheRule"
STORAGE, SHARE = "azure-native:storage:StorageAccount", "azure-native:storage:FileShare"
CONTAINER = "azure-native:storage:BlobContainer"
BLOBS = "azure-native:storage:BlobServiceProperties"
VAULT, KEY = "azure-native:keyvault:Vault", "azure-native:keyvault:Key"
COSMOS, TABLE = "azure-native:cosmosdb:DatabaseAccount", "azure-native:cosmosdb:TableResourceTable"
POSTGRES, DATABASE = "azure-native:dbforpostgresql:Server", "azure-native:dbforpostgresql:Database"
PG_RULE = "azure-native:dbforpostgresql:FirewallRule"
PG_SETTING = "azure-native:dbforpostgresql:Configuration"
ML, STORE = "azure-native:machinelearningservices:Workspace", "azure-native:machinelearningservices:Datastore"
COMPUTE = "azure-native:machinelearningservices:Compute"
NSG, RULE = "azure-native:network:NetworkSecurityGroup", "azure-native:network:SecurityRule"
VNET, SUBNET = "azure-native:network:VirtualNetwork", "azure-native:network:Subnet"
ROUTES, ENDPOINT = "azure-native:network:RouteTable", "azure-native:network:PrivateEndpoint"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"

PRIVATE = "apiServerAccessProfile.enablePrivateCluster"
RANGES = "apiServerAccessProfile.authorizedIPRanges"
LINK = "privateLinkServiceConnections[].privateLinkServiceId"


def ssh(**changes: Any) -> dict[str, Any]:
    """A rule that lets the Internet in by SSH, or a variation of it."""
    rule = {
        "access": "Allow",
        "direction": "Inbound",
        "protocol": "Tcp",
        "sourceAddressPrefix": "*",
        "destinationPortRange": "22",
    }
    return {**rule, **changes}


def network(*subnets: dict[str, Any]) -> dict[str, Any]:
    return {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": list(subnets)}


def aad(managed: object, roles: object) -> dict[str, Any]:
    return {"aadProfile": {"managed": managed, "enableAzureRBAC": roles}}


def workload_identity(enabled: object, issuer: object) -> dict[str, Any]:
    return {
        "securityProfile": {"workloadIdentity": {"enabled": enabled}},
        "oidcIssuerProfile": {"enabled": issuer},
    }


def channels(cluster: object, nodes: object) -> dict[str, Any]:
    return {"autoUpgradeProfile": {"upgradeChannel": cluster, "nodeOSUpgradeChannel": nodes}}


def compute(kind: object, public: object = None) -> dict[str, Any]:
    inner = {} if public is None else {"properties": {"enableNodePublicIp": public}}
    return {"properties": {"computeType": kind, **inner}}


def retention(blobs: object, containers: object) -> Subject:
    props = {
        "deleteRetentionPolicy": {"enabled": blobs},
        "containerDeleteRetentionPolicy": {"enabled": containers},
    }
    return [Res(STORAGE, name="models"), Res(BLOBS, props, "blobs", {"accountName": "models"})]


def endpoint(kind: str, refs: dict[str, str]) -> Subject:
    return [Res(kind, name="service"), Res(ENDPOINT, at(LINK, U), "endpoint", refs)]


def logged(kind: str, enabled: object) -> Subject:
    setting = {"resourceUri": U, "logs": [{"categoryGroup": "audit", "enabled": enabled}]}
    return [Res(kind, name="service"), Res(DIAGNOSTICS, setting, "setting", {"resourceUri": "service"})]


CASES: dict[str, Cases] = {
    "azure-aks-rbac": on(AKS, "enableRBAC", good=(True,), bad=(False,), absent="passes", other=POOL),
    "azure-aks-local-accounts": on(AKS, "disableLocalAccounts", good=(True,), bad=(False,), absent="fails", other=POOL),
    "azure-aks-api-server-access": several(
        AKS,
        good=[at(PRIVATE, True), at(RANGES, ["203.0.113.0/24", "10.0.0.0/8"])],
        bad=[
            at(PRIVATE, False),
            at(RANGES, []),
            at(RANGES, ["203.0.113.0/24", "0.0.0.0/0"]),
            at(RANGES, ["0.0.0.0/1", "128.0.0.0/1"]),
            {"apiServerAccessProfile": {"enablePrivateCluster": False, "authorizedIPRanges": [U, "::/0"]}},
        ],
        absent=("fails", {}),
        unknown=("undecided", at(RANGES, ["203.0.113.0/24", U])),
        other=POOL,
    ),
    "azure-aks-entra-authorization": several(
        AKS,
        good=[aad(True, True)],
        bad=[aad(False, True), aad(True, False), aad(U, False)],
        absent=("fails", {}),
        unknown=("undecided", aad(True, U)),
        other=POOL,
    ),
    "azure-aks-managed-identity": on(
        AKS,
        "identity.type",
        good=("UserAssigned", "SystemAssigned"),
        bad=("None",),
        absent="fails",
        other=POOL,
    ),
    "azure-aks-workload-identity": several(
        AKS,
        good=[workload_identity(True, True)],
        bad=[workload_identity(True, False), workload_identity(False, True)],
        absent=("fails", {}),
        unknown=("undecided", workload_identity(U, True)),
        other=POOL,
    ),
    "azure-aks-network-policy": on(
        AKS,
        "networkProfile.networkPolicy",
        good=("cilium", "azure", "calico"),
        bad=("none",),
        absent="fails",
        other=POOL,
    ),
    "azure-aks-node-public-ip": several(
        AKS,
        good=[at("agentPoolProfiles", [{"name": "a"}, {"enableNodePublicIP": False}])],
        bad=[at("agentPoolProfiles", [{"name": "a"}, {"enableNodePublicIP": True}])],
        absent=("passes", {}),
        unknown=("undecided", at("agentPoolProfiles[].enableNodePublicIP", U)),
        other=VNET,
        more_bad=[[Res(POOL, {"enableNodePublicIP": True})]],
    ),
    "azure-aks-upgrade-channels": several(
        AKS,
        good=[channels("patch", "NodeImage")],
        bad=[channels("none", "NodeImage"), channels("patch", "None")],
        absent=("fails", {}),
        unknown=("undecided", channels("patch", U)),
        other=POOL,
    ),
    "azure-acr-admin-user": on(ACR, "adminUserEnabled", good=(False,), bad=(True,), absent="passes", other=CACHE),
    "azure-acr-anonymous-pull": on(
        ACR, "anonymousPullEnabled", good=(False,), bad=(True,), absent="passes", other=CACHE
    ),
    "azure-acr-public-network": on(
        ACR, "publicNetworkAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=CACHE
    ),
    "azure-acr-premium": on(ACR, "sku.name", good=("Premium",), bad=("Standard",), absent="fails", other=CACHE),
    "azure-storage-https": on(
        STORAGE, "enableHttpsTrafficOnly", good=(True,), bad=(False,), absent="passes", other=SHARE
    ),
    "azure-storage-tls": on(
        STORAGE, "minimumTlsVersion", good=("TLS1_2", "TLS1_3"), bad=("TLS1_1",), absent="fails", other=SHARE
    ),
    "azure-storage-anonymous-blobs": on(
        STORAGE, "allowBlobPublicAccess", good=(False,), bad=(True,), absent="fails", other=SHARE
    ),
    "azure-storage-public-container": on(
        CONTAINER, "publicAccess", good=("None",), bad=("Blob", "Container"), absent="passes", other=SHARE
    ),
    "azure-storage-public-network": on(
        STORAGE,
        "publicNetworkAccess",
        good=("Disabled",),
        bad=("Enabled", "SecuredByPerimeter"),
        absent="fails",
        other=SHARE,
    ),
    "azure-storage-shared-key": on(
        STORAGE, "allowSharedKeyAccess", good=(False,), bad=(True,), absent="fails", other=SHARE
    ),
    "azure-storage-soft-delete": Cases(
        compliant=[
            retention(True, True),
            [
                Res(STORAGE, {"accountName": "models1"}),
                Res(BLOBS, {"accountName": "models1", **retention(True, True)[1].props}, "blobs"),
            ],
        ],
        violating=[retention(True, False), retention(False, True), [Res(STORAGE)]],
        absent=("fails", [Res(STORAGE, name="a"), Res(BLOBS, {}, "b", {"accountName": "a"})]),
        unknown=("undecided", retention(True, U)),
        other_type=retyped(retention(True, False), SHARE),
    ),
    "azure-keyvault-purge-protection": on(
        VAULT, "properties.enablePurgeProtection", good=(True,), bad=(False,), absent="fails", other=KEY
    ),
    "azure-keyvault-soft-delete": on(
        VAULT, "properties.enableSoftDelete", good=(True,), bad=(False,), absent="passes", other=KEY
    ),
    "azure-keyvault-rbac": on(
        VAULT, "properties.enableRbacAuthorization", good=(True,), bad=(False,), absent="fails", other=KEY
    ),
    "azure-keyvault-public-network": on(
        VAULT,
        "properties.publicNetworkAccess",
        good=("Disabled", "disabled"),
        bad=("Enabled",),
        absent="fails",
        other=KEY,
    ),
    "azure-keyvault-key-rotation": on(
        KEY,
        "properties.rotationPolicy",
        good=({"lifetimeActions": [{"action": {"type": "rotate"}}]},),
        bad=({},),
        absent="fails",
        unknown="passes",
        other=VAULT,
    ),
    "azure-cosmos-public-network": on(
        COSMOS, "publicNetworkAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=TABLE
    ),
    "azure-cosmos-local-auth": on(COSMOS, "disableLocalAuth", good=(True,), bad=(False,), absent="fails", other=TABLE),
    "azure-cosmos-azure-datacenters": on(
        COSMOS,
        "ipRules[].ipAddressOrRange",
        good=("203.0.113.7",),
        bad=("0.0.0.0", "0.0.0.0/0"),  # noqa: S104 (what the control refuses)
        absent="passes",
        other=TABLE,
    ),
    "azure-cosmos-tls": on(
        COSMOS, "minimalTlsVersion", good=("Tls12", "Tls13"), bad=("Tls11",), absent="fails", other=TABLE
    ),
    "azure-cosmos-continuous-backup": on(
        COSMOS, "backupPolicy.type", good=("Continuous",), bad=("Periodic",), absent="fails", other=TABLE
    ),
    "azure-postgres-public-network": several(
        POSTGRES,
        good=[
            at("network.publicNetworkAccess", "Disabled"),
            at("network.delegatedSubnetResourceId", U),
        ],
        bad=[at("network.publicNetworkAccess", "Enabled")],
        absent=("fails", {}),
        unknown=("undecided", at("network.publicNetworkAccess", U)),
        other=DATABASE,
    ),
    "azure-postgres-open-firewall": on(
        PG_RULE,
        "startIpAddress",
        good=("203.0.113.7",),
        bad=("0.0.0.0",),  # noqa: S104 (what the control refuses)
        absent="passes",
        other=DATABASE,
    ),
    "azure-postgres-tls": several(
        PG_SETTING,
        good=[
            {"configurationName": "require_secure_transport", "value": "on"},
            {"configurationName": "log_connections", "value": "off"},
        ],
        bad=[{"configurationName": "require_secure_transport", "value": "OFF"}],
        absent=("passes", {"configurationName": "require_secure_transport"}),
        unknown=("undecided", {"configurationName": "require_secure_transport", "value": U}),
        also_undecided=[[Res(PG_SETTING, {"configurationName": U, "value": "off"})]],
        other=DATABASE,
    ),
    "azure-postgres-backups": on(
        POSTGRES, "backup.backupRetentionDays", good=(7, 35), bad=(6,), absent="passes", other=DATABASE
    ),
    "azure-ml-public-network": on(
        ML, "publicNetworkAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=STORE
    ),
    "azure-ml-node-public-ip": several(
        COMPUTE,
        good=[compute("AmlCompute", False), compute("AKS")],
        bad=[compute("AmlCompute", True), compute("ComputeInstance", True)],
        absent=("fails", compute("AmlCompute")),
        unknown=("undecided", compute("AmlCompute", U)),
        also_undecided=[[Res(COMPUTE, compute(U, True))]],
        other=STORE,
    ),
    "azure-network-admin-ports": several(
        NSG,
        good=[
            at("securityRules[]", ssh(access="Deny")),
            at("securityRules[]", ssh(direction="Outbound")),
            at("securityRules[]", ssh(sourceAddressPrefix="10.0.0.0/8")),
            at("securityRules[]", ssh(destinationPortRange="443", sourceAddressPrefix=U)),
        ],
        bad=[
            at("securityRules[]", ssh()),
            at("securityRules[]", ssh(destinationPortRange="3000-4000", sourceAddressPrefix="Internet")),
            at("securityRules[]", ssh(destinationPortRange="*")),
            at("securityRules", [U, ssh(sourceAddressPrefix=None, sourceAddressPrefixes=["10.0.0.0/8", "0.0.0.0/0"])]),
            at("securityRules[]", ssh(destinationPortRange=None, destinationPortRanges=["80", "22"])),
        ],
        absent=("passes", {}),
        unknown=("undecided", at("securityRules[]", ssh(sourceAddressPrefix=U))),
        also_undecided=[
            [Res(NSG, {"securityRules": U})],
            [Res(NSG, {"securityRules": [U]})],
            [Res(RULE, ssh(sourceAddressPrefix=None, sourceAddressPrefixes=[U]))],
            [Res(RULE, ssh(destinationPortRange=U))],
        ],
        other=ROUTES,
        more_bad=[[Res(RULE, ssh())]],
    ),
    "azure-network-subnet-security-group": several(
        SUBNET,
        good=[
            {"networkSecurityGroup": {"id": U}},
            *({"subnetName": name} for name in ("GatewaySubnet", "AzureFirewallSubnet", "AzureBastionSubnet")),
        ],
        bad=[{"subnetName": "nodes", "addressPrefix": "10.0.0.0/24"}],
        absent=("fails", {}),
        unknown=("passes", {"networkSecurityGroup": U}),
        other=ROUTES,
        more_good=[
            [Res(VNET, network())],
            [Res(VNET, network({"name": "nodes", "networkSecurityGroup": {"id": U}}, {"name": "GatewaySubnet"}))],
        ],
        more_bad=[[Res(VNET, network({"name": "GatewaySubnet"}, {"name": "nodes"}))]],
        also_undecided=[[Res(VNET, {"addressSpace": {}, "subnets": U})]],
    ),
    "azure-network-private-endpoints": Cases(
        compliant=[
            endpoint(kind, {"privateLinkServiceConnections": "service"}) for kind in (VAULT, STORAGE, ACR, COSMOS, ML)
        ],
        violating=[[Res(kind)] for kind in (VAULT, STORAGE, ACR, COSMOS, ML)],
        absent=("fails", [Res(VAULT, name="service"), Res(ENDPOINT, {}, "endpoint")]),
        unknown=("undecided", endpoint(VAULT, {})),
        other_type=[Res(KEY)],
    ),
    "azure-monitor-diagnostic-settings": Cases(
        compliant=[logged(kind, True) for kind in (AKS, ACR, COSMOS, VAULT, ML)],
        violating=[
            logged(VAULT, False),
            *([Res(kind)] for kind in (AKS, ACR, COSMOS, VAULT, ML)),
        ],
        absent=("fails", [Res(VAULT, name="a"), Res(DIAGNOSTICS, {}, "b", {"resourceUri": "a"})]),
        unknown=("undecided", logged(VAULT, U)),
        other_type=[Res(KEY)],
    ),
}
