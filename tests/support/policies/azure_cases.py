"""The five cases of every control on Azure."""

from typing import Any

from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Subject,
    nested,
    property_cases,
    resource_cases,
)

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
LINK = "privateLinkServiceConnections[*].privateLinkServiceId"


def ssh(**changes: Any) -> dict[str, Any]:
    """A rule that allows SSH from the Internet, or a variation of it."""
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
    return [Declared(STORAGE, name="models"), Declared(BLOBS, props, "blobs", {"accountName": "models"})]


def endpoint(kind: str, refs: dict[str, str]) -> Subject:
    return [Declared(kind, name="service"), Declared(ENDPOINT, nested(LINK, UNKNOWN_TEXT), "endpoint", refs)]


def logged(kind: str, enabled: object) -> Subject:
    setting = {
        "resourceUri": UNKNOWN_TEXT,
        "workspaceId": UNKNOWN_TEXT,
        "logs": [{"categoryGroup": "audit", "enabled": enabled}],
    }
    return [Declared(kind, name="service"), Declared(DIAGNOSTICS, setting, "setting", {"resourceUri": "service"})]


CASES: dict[str, Cases] = {
    "azure-aks-rbac": property_cases(AKS, "enableRBAC", good=(True,), bad=(False,), absent="passes", other=POOL),
    "azure-aks-local-accounts": property_cases(
        AKS, "disableLocalAccounts", good=(True,), bad=(False,), absent="fails", other=POOL
    ),
    "azure-aks-api-server-access": resource_cases(
        AKS,
        good=[nested(PRIVATE, True), nested(RANGES, ["203.0.113.0/24", "10.0.0.0/8"])],
        bad=[
            nested(PRIVATE, False),
            nested(RANGES, []),
            nested(RANGES, ["203.0.113.0/24", "0.0.0.0/0"]),
            nested(RANGES, ["0.0.0.0/1", "128.0.0.0/1"]),
            {"apiServerAccessProfile": {"enablePrivateCluster": False, "authorizedIPRanges": [UNKNOWN_TEXT, "::/0"]}},
        ],
        absent=("fails", {}),
        unknown=("undecided", nested(RANGES, ["203.0.113.0/24", UNKNOWN_TEXT])),
        other=POOL,
    ),
    "azure-aks-entra-authorization": resource_cases(
        AKS,
        good=[aad(True, True)],
        bad=[aad(False, True), aad(True, False), aad(UNKNOWN_TEXT, False)],
        absent=("fails", {}),
        unknown=("undecided", aad(True, UNKNOWN_TEXT)),
        other=POOL,
    ),
    "azure-aks-managed-identity": property_cases(
        AKS,
        "identity.type",
        good=("UserAssigned", "SystemAssigned"),
        bad=("None",),
        absent="fails",
        other=POOL,
    ),
    "azure-aks-workload-identity": resource_cases(
        AKS,
        good=[workload_identity(True, True)],
        bad=[workload_identity(True, False), workload_identity(False, True)],
        absent=("fails", {}),
        unknown=("undecided", workload_identity(UNKNOWN_TEXT, True)),
        other=POOL,
    ),
    "azure-aks-network-policy": property_cases(
        AKS,
        "networkProfile.networkPolicy",
        good=("cilium", "azure", "calico"),
        bad=("none",),
        absent="fails",
        other=POOL,
    ),
    "azure-aks-node-public-ip": resource_cases(
        AKS,
        good=[nested("agentPoolProfiles", [{"name": "a"}, {"enableNodePublicIP": False}])],
        bad=[nested("agentPoolProfiles", [{"name": "a"}, {"enableNodePublicIP": True}])],
        absent=("passes", {}),
        unknown=("undecided", nested("agentPoolProfiles[*].enableNodePublicIP", UNKNOWN_TEXT)),
        other=VNET,
        more_bad=[[Declared(POOL, {"enableNodePublicIP": True})]],
    ),
    "azure-aks-upgrade-channels": resource_cases(
        AKS,
        good=[channels("patch", "NodeImage")],
        bad=[channels("none", "NodeImage"), channels("patch", "None")],
        absent=("fails", {}),
        unknown=("undecided", channels("patch", UNKNOWN_TEXT)),
        other=POOL,
    ),
    "azure-acr-admin-user": property_cases(
        ACR, "adminUserEnabled", good=(False,), bad=(True,), absent="passes", other=CACHE
    ),
    "azure-acr-anonymous-pull": property_cases(
        ACR, "anonymousPullEnabled", good=(False,), bad=(True,), absent="passes", other=CACHE
    ),
    "azure-acr-public-network": property_cases(
        ACR, "publicNetworkAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=CACHE
    ),
    "azure-acr-premium": property_cases(
        ACR, "sku.name", good=("Premium",), bad=("Standard",), absent="fails", other=CACHE
    ),
    "azure-storage-https": property_cases(
        STORAGE, "enableHttpsTrafficOnly", good=(True,), bad=(False,), absent="passes", other=SHARE
    ),
    "azure-storage-tls": property_cases(
        STORAGE, "minimumTlsVersion", good=("TLS1_2", "TLS1_3"), bad=("TLS1_1",), absent="fails", other=SHARE
    ),
    "azure-storage-anonymous-blobs": property_cases(
        STORAGE, "allowBlobPublicAccess", good=(False,), bad=(True,), absent="fails", other=SHARE
    ),
    "azure-storage-public-container": property_cases(
        CONTAINER, "publicAccess", good=("None",), bad=("Blob", "Container"), absent="passes", other=SHARE
    ),
    "azure-storage-public-network": property_cases(
        STORAGE,
        "publicNetworkAccess",
        good=("Disabled",),
        bad=("Enabled", "SecuredByPerimeter"),
        absent="fails",
        other=SHARE,
    ),
    "azure-storage-shared-key": property_cases(
        STORAGE, "allowSharedKeyAccess", good=(False,), bad=(True,), absent="fails", other=SHARE
    ),
    "azure-storage-soft-delete": Cases(
        compliant=[
            retention(True, True),
            [
                Declared(STORAGE, {"accountName": "models1"}),
                Declared(BLOBS, {"accountName": "models1", **retention(True, True)[1].props}, "blobs"),
            ],
        ],
        violating=[retention(True, False), retention(False, True), [Declared(STORAGE)]],
        absent=("fails", [Declared(STORAGE, name="a"), Declared(BLOBS, {}, "b", {"accountName": "a"})]),
        unknown=("undecided", retention(True, UNKNOWN_TEXT)),
        other_type=[Declared(SHARE)],
    ),
    "azure-keyvault-purge-protection": property_cases(
        VAULT, "properties.enablePurgeProtection", good=(True,), bad=(False,), absent="fails", other=KEY
    ),
    "azure-keyvault-soft-delete": property_cases(
        VAULT, "properties.enableSoftDelete", good=(True,), bad=(False,), absent="passes", other=KEY
    ),
    "azure-keyvault-rbac": property_cases(
        VAULT, "properties.enableRbacAuthorization", good=(True,), bad=(False,), absent="fails", other=KEY
    ),
    "azure-keyvault-public-network": property_cases(
        VAULT,
        "properties.publicNetworkAccess",
        good=("Disabled", "disabled"),
        bad=("Enabled",),
        absent="fails",
        other=KEY,
    ),
    "azure-keyvault-key-rotation": property_cases(
        KEY,
        "properties.rotationPolicy",
        good=({"lifetimeActions": [{"action": {"type": "rotate"}}]},),
        bad=({}, {"lifetimeActions": []}, {"lifetimeActions": [{"action": {"type": "notify"}}]}),
        absent="fails",
        other=VAULT,
    ),
    "azure-cosmos-public-network": property_cases(
        COSMOS, "publicNetworkAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=TABLE
    ),
    "azure-cosmos-local-auth": property_cases(
        COSMOS, "disableLocalAuth", good=(True,), bad=(False,), absent="fails", other=TABLE
    ),
    "azure-cosmos-azure-datacenters": property_cases(
        COSMOS,
        "ipRules[*].ipAddressOrRange",
        good=("203.0.113.7",),
        bad=("0.0.0.0", "0.0.0.0/0"),  # noqa: S104 (the control rejects it)
        absent="passes",
        other=TABLE,
    ),
    "azure-cosmos-tls": property_cases(
        COSMOS, "minimalTlsVersion", good=("Tls12", "Tls13"), bad=("Tls11",), absent="fails", other=TABLE
    ),
    "azure-cosmos-continuous-backup": property_cases(
        COSMOS, "backupPolicy.type", good=("Continuous",), bad=("Periodic",), absent="fails", other=TABLE
    ),
    "azure-postgres-public-network": resource_cases(
        POSTGRES,
        good=[
            nested("network.publicNetworkAccess", "Disabled"),
            nested("network.delegatedSubnetResourceId", UNKNOWN_TEXT),
        ],
        bad=[nested("network.publicNetworkAccess", "Enabled")],
        absent=("fails", {}),
        unknown=("undecided", nested("network.publicNetworkAccess", UNKNOWN_TEXT)),
        other=DATABASE,
    ),
    "azure-postgres-open-firewall": property_cases(
        PG_RULE,
        "startIpAddress",
        good=("203.0.113.7",),
        bad=("0.0.0.0",),  # noqa: S104 (the control rejects it)
        absent="passes",
        other=DATABASE,
    ),
    "azure-postgres-tls": resource_cases(
        PG_SETTING,
        good=[
            {"configurationName": "require_secure_transport", "value": "on"},
            {"configurationName": "log_connections", "value": "off"},
        ],
        bad=[{"configurationName": "require_secure_transport", "value": "OFF"}],
        absent=("passes", {"configurationName": "require_secure_transport"}),
        unknown=("undecided", {"configurationName": "require_secure_transport", "value": UNKNOWN_TEXT}),
        also_undecided=[[Declared(PG_SETTING, {"configurationName": UNKNOWN_TEXT, "value": "off"})]],
        other=DATABASE,
    ),
    "azure-postgres-backups": property_cases(
        POSTGRES, "backup.backupRetentionDays", good=(7, 35), bad=(6,), absent="passes", other=DATABASE
    ),
    "azure-ml-public-network": property_cases(
        ML, "publicNetworkAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=STORE
    ),
    "azure-ml-node-public-ip": resource_cases(
        COMPUTE,
        good=[compute("AmlCompute", False), compute("AKS")],
        bad=[compute("AmlCompute", True), compute("ComputeInstance", True)],
        absent=("fails", compute("AmlCompute")),
        unknown=("undecided", compute("AmlCompute", UNKNOWN_TEXT)),
        also_undecided=[[Declared(COMPUTE, compute(UNKNOWN_TEXT, True))]],
        other=STORE,
    ),
    "azure-network-admin-ports": resource_cases(
        NSG,
        good=[
            nested("securityRules[*]", ssh(access="Deny")),
            nested("securityRules[*]", ssh(direction="Outbound")),
            nested("securityRules[*]", ssh(sourceAddressPrefix="10.0.0.0/8")),
            nested("securityRules[*]", ssh(destinationPortRange="443", sourceAddressPrefix=UNKNOWN_TEXT)),
        ],
        bad=[
            nested("securityRules[*]", ssh()),
            nested("securityRules[*]", ssh(destinationPortRange="3000-4000", sourceAddressPrefix="Internet")),
            nested("securityRules[*]", ssh(destinationPortRange="*")),
            nested(
                "securityRules",
                [UNKNOWN_TEXT, ssh(sourceAddressPrefix=None, sourceAddressPrefixes=["10.0.0.0/8", "0.0.0.0/0"])],
            ),
            nested("securityRules[*]", ssh(destinationPortRange=None, destinationPortRanges=["80", "22"])),
        ],
        absent=("passes", {}),
        unknown=("undecided", nested("securityRules[*]", ssh(sourceAddressPrefix=UNKNOWN_TEXT))),
        also_undecided=[
            [Declared(NSG, {"securityRules": UNKNOWN_TEXT})],
            [Declared(NSG, {"securityRules": [UNKNOWN_TEXT]})],
            [Declared(RULE, ssh(sourceAddressPrefix=None, sourceAddressPrefixes=[UNKNOWN_TEXT]))],
            [Declared(RULE, ssh(destinationPortRange=UNKNOWN_TEXT))],
        ],
        other=ROUTES,
        more_bad=[[Declared(RULE, ssh())]],
    ),
    "azure-network-subnet-security-group": resource_cases(
        SUBNET,
        good=[
            {"networkSecurityGroup": {"id": UNKNOWN_TEXT}},
            *({"subnetName": name} for name in ("GatewaySubnet", "AzureFirewallSubnet", "AzureBastionSubnet")),
        ],
        bad=[{"subnetName": "nodes", "addressPrefix": "10.0.0.0/24"}],
        absent=("fails", {}),
        unknown=("passes", {"networkSecurityGroup": UNKNOWN_TEXT}),
        other=ROUTES,
        more_good=[
            [Declared(VNET, network())],
            [
                Declared(
                    VNET,
                    network({"name": "nodes", "networkSecurityGroup": {"id": UNKNOWN_TEXT}}, {"name": "GatewaySubnet"}),
                )
            ],
        ],
        more_bad=[[Declared(VNET, network({"name": "GatewaySubnet"}, {"name": "nodes"}))]],
        also_undecided=[[Declared(VNET, {"addressSpace": {}, "subnets": UNKNOWN_TEXT})]],
    ),
    "azure-network-private-endpoints": Cases(
        compliant=[
            endpoint(kind, {"privateLinkServiceConnections": "service"}) for kind in (VAULT, STORAGE, ACR, COSMOS, ML)
        ],
        violating=[[Declared(kind)] for kind in (VAULT, STORAGE, ACR, COSMOS, ML)],
        absent=("fails", [Declared(VAULT, name="service"), Declared(ENDPOINT, {}, "endpoint")]),
        unknown=("undecided", endpoint(VAULT, {})),
        other_type=[Declared(KEY)],
    ),
    "azure-monitor-diagnostic-settings": Cases(
        compliant=[logged(kind, True) for kind in (AKS, ACR, COSMOS, VAULT, ML)],
        violating=[
            logged(VAULT, False),
            *([Declared(kind)] for kind in (AKS, ACR, COSMOS, VAULT, ML)),
        ],
        absent=("fails", [Declared(VAULT, name="a"), Declared(DIAGNOSTICS, {}, "b", {"resourceUri": "a"})]),
        unknown=("undecided", logged(VAULT, UNKNOWN_TEXT)),
        other_type=[Declared(KEY)],
    ),
}
