"""Cases of Azure's stores, vaults, networks and machine learning beyond their public access."""

from typing import Any

from tests.support.policies.azure_cases import (
    BLOBS,
    COMPUTE,
    COSMOS,
    DATABASE,
    KEY,
    ML,
    NSG,
    PG_SETTING,
    POSTGRES,
    ROUTES,
    RULE,
    SHARE,
    STORAGE,
    STORE,
    SUBNET,
    TABLE,
    VAULT,
    VNET,
    network,
    ssh,
)
from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Subject,
    nested,
    property_cases,
    resource_cases,
)

SECRET, HSM = "azure-native:keyvault:Secret", "azure-native:keyvault:ManagedHsm"
PG_CLUSTER = "azure-native:dbforpostgresql:ServerGroupCluster"
FLOW_LOG, INTERFACE = "azure-native:network:FlowLog", "azure-native:network:NetworkInterface"


def locations(count: int, failover: object) -> dict[str, Any]:
    regions = [{"isZoneRedundant": True, "failoverPriority": number} for number in range(count)]
    return {"locations": regions, "enableAutomaticFailover": failover}


def expiry(once: object = None, after: object = None) -> dict[str, Any]:
    fixed = {} if once is None else {"attributes": {"expires": once}}
    rotated = {} if after is None else {"rotationPolicy": {"attributes": {"expiryTime": after}}}
    return {"properties": {**fixed, **rotated}}


def compute(kind: object, **inner: Any) -> dict[str, Any]:
    return {"properties": {"computeType": kind, "properties": inner}}


def of_cluster(path: str, *, good: object, bad: object, absent: bool = False) -> Cases:
    """Cases for a setting of AmlCompute, which other kinds of compute do not have."""
    return resource_cases(
        COMPUTE,
        good=[compute("AmlCompute", **nested(path, good)), compute("Kubernetes", **nested(path, bad))],
        bad=[compute("AmlCompute", **nested(path, bad))],
        absent=("passes" if absent else "fails", compute("AmlCompute")),
        unknown=("undecided", compute("AmlCompute", **nested(path, UNKNOWN_TEXT))),
        other=STORE,
        also_undecided=[[Declared(COMPUTE, compute(UNKNOWN_TEXT, **nested(path, bad)))]],
    )


def rules(good: list[dict[str, Any]], bad: list[dict[str, Any]], unknown: dict[str, Any]) -> Cases:
    """Cases for a rule of a security group, in the group and as a separate resource."""
    return resource_cases(
        NSG,
        good=[{"securityRules": [rule]} for rule in good],
        bad=[{"securityRules": [rule]} for rule in bad],
        absent=("passes", {}),
        unknown=("undecided", {"securityRules": [unknown]}),
        other=ROUTES,
        more_good=[[Declared(RULE, rule)] for rule in good],
        more_bad=[[Declared(RULE, rule)] for rule in bad],
    )


def flows(enabled: object) -> Subject:
    log = {"targetResourceId": UNKNOWN_TEXT, "enabled": enabled}
    return [Declared(VNET, name="net"), Declared(FLOW_LOG, log, "flows", {"targetResourceId": "net"})]


def retained(enabled: object, days: object) -> dict[str, Any]:
    return {"retentionPolicy": {"enabled": enabled, "days": days}}


def deleted(blobs: object, containers: object) -> dict[str, Any]:
    return {"deleteRetentionPolicy": {"days": blobs}, "containerDeleteRetentionPolicy": {"days": containers}}


CASES: dict[str, Cases] = {
    "azure-cosmos-firewall": resource_cases(
        COSMOS,
        good=[{"isVirtualNetworkFilterEnabled": True}, nested("ipRules[*].ipAddressOrRange", "203.0.113.7")],
        bad=[{"isVirtualNetworkFilterEnabled": False}, {"isVirtualNetworkFilterEnabled": False, "ipRules": []}],
        absent=("fails", {}),
        unknown=("undecided", {"isVirtualNetworkFilterEnabled": UNKNOWN_TEXT}),
        other=TABLE,
    ),
    "azure-cosmos-metadata-writes": property_cases(
        COSMOS, "disableKeyBasedMetadataWriteAccess", good=(True,), bad=(False,), absent="fails", other=TABLE
    ),
    "azure-cosmos-kms": property_cases(
        COSMOS, "keyVaultKeyUri", good=("https://kv/keys/k",), bad=("",), absent="fails", unknown="passes", other=TABLE
    ),
    "azure-cosmos-failover": resource_cases(
        COSMOS,
        good=[locations(2, True), locations(1, False)],
        bad=[locations(2, False)],
        absent=("passes", {}),
        unknown=("undecided", locations(2, UNKNOWN_TEXT)),
        other=TABLE,
    ),
    "azure-cosmos-zones": property_cases(
        COSMOS, "locations[*].isZoneRedundant", good=(True,), bad=(False,), absent="fails", other=TABLE
    ),
    "azure-keyvault-network-default": property_cases(
        (VAULT, HSM), "properties.networkAcls.defaultAction", good=("Deny",), bad=("Allow",), absent="fails", other=KEY
    ),
    "azure-keyvault-retention": property_cases(
        (VAULT, HSM), "properties.softDeleteRetentionInDays", good=(90,), bad=(7, 89), absent="passes", other=KEY
    ),
    "azure-keyvault-key-expiry": resource_cases(
        KEY,
        good=[expiry(after="P1Y"), expiry(once=1893456000), expiry(after=UNKNOWN_TEXT)],
        bad=[expiry(once=0, after="")],
        absent=("fails", {}),
        unknown=("undecided", expiry(once=UNKNOWN_TEXT)),
        other=VAULT,
    ),
    "azure-keyvault-key-size": resource_cases(
        KEY,
        good=[{"properties": {"kty": "RSA", "keySize": 3072}}, {"properties": {"kty": "EC"}}],
        bad=[{"properties": {"kty": "RSA", "keySize": 1024}}, {"properties": {"kty": "RSA-HSM", "keySize": 512}}],
        absent=("passes", {}),
        unknown=("undecided", {"properties": {"kty": "RSA", "keySize": UNKNOWN_TEXT}}),
        other=VAULT,
        also_undecided=[[Declared(KEY, {"properties": {"kty": UNKNOWN_TEXT, "keySize": 1024}})]],
    ),
    "azure-keyvault-secret-expiry": property_cases(
        SECRET, "properties.attributes.expires", good=(1893456000,), bad=(0,), absent="fails", other=VAULT
    ),
    "azure-keyvault-secret-type": property_cases(
        SECRET, "properties.contentType", good=("text/plain",), bad=("",), absent="fails", unknown="passes", other=VAULT
    ),
    "azure-storage-network-default": property_cases(
        STORAGE, "networkRuleSet.defaultAction", good=("Deny",), bad=("Allow",), absent="fails", other=SHARE
    ),
    "azure-storage-trusted-services": property_cases(
        STORAGE,
        "networkRuleSet.bypass",
        good=("AzureServices", "Logging, AzureServices"),
        bad=("None", "Logging"),
        absent="passes",
        other=SHARE,
    ),
    "azure-storage-kms": property_cases(
        STORAGE,
        "encryption.keySource",
        good=("Microsoft.Keyvault",),
        bad=("Microsoft.Storage",),
        absent="fails",
        other=SHARE,
    ),
    "azure-storage-cross-tenant": property_cases(
        STORAGE, "allowCrossTenantReplication", good=(False,), bad=(True,), absent="passes", other=SHARE
    ),
    "azure-storage-local-users": resource_cases(
        STORAGE,
        good=[{"isLocalUserEnabled": False}, {"isLocalUserEnabled": False, "isHnsEnabled": True}],
        bad=[{"isLocalUserEnabled": True}, {"isHnsEnabled": True}],
        absent=("passes", {}),
        unknown=("undecided", {"isLocalUserEnabled": UNKNOWN_TEXT}),
        other=SHARE,
        also_undecided=[[Declared(STORAGE, {"isHnsEnabled": UNKNOWN_TEXT})]],
    ),
    "azure-storage-redundancy": property_cases(
        STORAGE,
        "sku.name",
        good=("Standard_ZRS", "Standard_RAGZRS"),
        bad=("Standard_LRS", "PremiumV2_LRS"),
        absent="fails",
        other=SHARE,
    ),
    "azure-storage-double-encryption": property_cases(
        STORAGE, "encryption.requireInfrastructureEncryption", good=(True,), bad=(False,), absent="fails", other=SHARE
    ),
    "azure-storage-versioning": property_cases(
        BLOBS, "isVersioningEnabled", good=(True,), bad=(False,), absent="fails", other=SHARE
    ),
    "azure-storage-deleted-days": resource_cases(
        BLOBS,
        good=[deleted(7, 30)],
        bad=[deleted(1, 7), deleted(7, 1)],
        absent=("passes", {}),
        unknown=("undecided", deleted(7, UNKNOWN_TEXT)),
        other=SHARE,
    ),
    "azure-postgres-cluster-public-network": resource_cases(
        PG_CLUSTER,
        good=[{"coordinatorEnablePublicIpAccess": False}],
        bad=[
            {"coordinatorEnablePublicIpAccess": True},
            {"coordinatorEnablePublicIpAccess": False, "nodeEnablePublicIpAccess": True},
        ],
        absent=("fails", {}),
        unknown=("undecided", {"coordinatorEnablePublicIpAccess": UNKNOWN_TEXT}),
        other=DATABASE,
    ),
    "azure-postgres-kms": property_cases(
        (POSTGRES, PG_CLUSTER),
        "dataEncryption.type",
        good=("AzureKeyVault",),
        bad=("SystemManaged",),
        absent="fails",
        other=DATABASE,
    ),
    "azure-postgres-entra-login": property_cases(
        (POSTGRES, PG_CLUSTER),
        "authConfig.activeDirectoryAuth",
        good=("Enabled",),
        bad=("Disabled",),
        absent="fails",
        other=DATABASE,
    ),
    "azure-postgres-tls-version": resource_cases(
        PG_SETTING,
        good=[
            {"configurationName": "ssl_min_protocol_version", "value": "TLSv1.2"},
            {"configurationName": "log_retention_days", "value": "3"},
        ],
        bad=[{"configurationName": "ssl_min_protocol_version", "value": "TLSv1.1"}],
        absent=("passes", {}),
        unknown=("undecided", {"configurationName": "ssl_min_protocol_version", "value": UNKNOWN_TEXT}),
        other=DATABASE,
        also_undecided=[[Declared(PG_SETTING, {"configurationName": UNKNOWN_TEXT, "value": "TLSv1.1"})]],
    ),
    "azure-postgres-high-availability": property_cases(
        POSTGRES,
        "highAvailability.mode",
        good=("ZoneRedundant",),
        bad=("Disabled", "SameZone"),
        absent="fails",
        other=DATABASE,
    ),
    "azure-postgres-maintenance-window": property_cases(
        (POSTGRES, PG_CLUSTER),
        "maintenanceWindow.customWindow",
        good=("Enabled",),
        bad=("Disabled",),
        absent="fails",
        other=DATABASE,
    ),
    "azure-postgres-auto-grow": property_cases(
        POSTGRES, "storage.autoGrow", good=("Enabled",), bad=("Disabled",), absent="fails", other=DATABASE
    ),
    "azure-ml-managed-network": property_cases(
        ML,
        "managedNetwork.isolationMode",
        good=("AllowOnlyApprovedOutbound",),
        bad=("AllowInternetOutbound", "Disabled"),
        absent="fails",
        other=STORE,
    ),
    "azure-ml-kms": property_cases(
        ML, "encryption.status", good=("Enabled",), bad=("Disabled",), absent="fails", other=STORE
    ),
    "azure-ml-identity": property_cases(
        ML,
        "identity.type",
        good=("UserAssigned", "SystemAssigned,UserAssigned"),
        bad=("SystemAssigned",),
        absent="fails",
        other=STORE,
    ),
    "azure-ml-compute-local-auth": property_cases(
        COMPUTE,
        "properties.disableLocalAuth",
        good=(True,),
        bad=(False,),
        absent="fails",
        other=STORE,
    ),
    "azure-ml-compute-ssh": resource_cases(
        COMPUTE,
        good=[
            compute("AmlCompute", remoteLoginPortPublicAccess="Disabled"),
            compute("ComputeInstance", sshSettings={"sshPublicAccess": "Disabled"}),
            compute("ComputeInstance"),
        ],
        bad=[
            compute("AmlCompute", remoteLoginPortPublicAccess="Enabled"),
            compute("AmlCompute", remoteLoginPortPublicAccess="NotSpecified"),
        ],
        absent=("fails", compute("AmlCompute")),
        unknown=("undecided", compute("AmlCompute", remoteLoginPortPublicAccess=UNKNOWN_TEXT)),
        other=STORE,
        also_undecided=[[Declared(COMPUTE, compute(UNKNOWN_TEXT, remoteLoginPortPublicAccess="Enabled"))]],
    ),
    "azure-ml-compute-scale-to-zero": of_cluster("scaleSettings.minNodeCount", good=0, bad=1),
    "azure-ml-compute-spot": of_cluster("vmPriority", good="LowPriority", bad="Dedicated"),
    "azure-ml-compute-idle-shutdown": resource_cases(
        COMPUTE,
        good=[compute("ComputeInstance", idleTimeBeforeShutdown="PT30M"), compute("AmlCompute")],
        bad=[compute("ComputeInstance", idleTimeBeforeShutdown="")],
        absent=("fails", compute("ComputeInstance")),
        unknown=("undecided", compute(UNKNOWN_TEXT)),
        other=STORE,
    ),
    "azure-network-internet-ports": rules(
        good=[
            ssh(destinationPortRange="443"),
            ssh(destinationPortRange="8080", sourceAddressPrefix="VirtualNetwork"),
            ssh(destinationPortRange="8080", access="Deny"),
            ssh(destinationPortRange="8080", direction="Outbound"),
        ],
        bad=[
            ssh(destinationPortRange="80"),
            ssh(destinationPortRange="8000-8443", sourceAddressPrefix="Internet"),
            ssh(destinationPortRange="", destinationPortRanges=["443", "5432"], protocol="*"),
        ],
        unknown=ssh(destinationPortRange="8080", sourceAddressPrefix=UNKNOWN_TEXT),
    ),
    "azure-network-udp": rules(
        good=[
            ssh(destinationPortRange="53", protocol="Udp", sourceAddressPrefix="10.0.0.0/8"),
            ssh(destinationPortRange="53", protocol="Tcp"),
        ],
        bad=[
            ssh(destinationPortRange="53", protocol="Udp"),
            ssh(destinationPortRange="53", protocol="UDP", sourceAddressPrefix="", sourceAddressPrefixes=["0.0.0.0/0"]),
        ],
        unknown=ssh(destinationPortRange="53", protocol=UNKNOWN_TEXT),
    ),
    "azure-network-default-outbound": resource_cases(
        SUBNET,
        good=[{"defaultOutboundAccess": False}, {"subnetName": "GatewaySubnet"}],
        bad=[{"defaultOutboundAccess": True}],
        absent=("fails", {}),
        unknown=("undecided", {"defaultOutboundAccess": UNKNOWN_TEXT}),
        other=ROUTES,
        more_good=[[Declared(VNET, network({"name": "a", "defaultOutboundAccess": False}, {"name": "GatewaySubnet"}))]],
        more_bad=[[Declared(VNET, network({"name": "a"}))]],
    ),
    "azure-network-ip-forwarding": property_cases(
        INTERFACE, "enableIPForwarding", good=(False,), bad=(True,), absent="passes", other=ROUTES
    ),
    "azure-network-flow-log": Cases(
        compliant=[
            flows(True),
            [Declared(VNET, {"id": "net1"}), Declared(FLOW_LOG, {"targetResourceId": "net1"}, "flows")],
        ],
        violating=[[Declared(VNET)], flows(False)],
        absent=("passes", flows(None)),
        unknown=("undecided", flows(UNKNOWN_TEXT)),
        other_type=[Declared(ROUTES)],
    ),
    "azure-network-flow-log-retention": resource_cases(
        FLOW_LOG,
        good=[retained(True, 90)],
        bad=[retained(True, 30), retained(False, 90)],
        absent=("fails", {}),
        unknown=("undecided", retained(True, UNKNOWN_TEXT)),
        other=ROUTES,
    ),
}
