"""Azure Cosmos DB: network access, authentication, and backups."""

from kernel.paths import look_up
from policies.controls.addresses import is_whole_internet, is_wide_range
from policies.engine.expectations import IS_TRUE, Requirement, expect, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

ACCOUNT = ("azure-native:cosmosdb:DatabaseAccount",)
FIREWALL = ("azure-native:cosmosdb:MongoClusterFirewallRule",)


@control(
    "azure-cosmos-public-network",
    title="Cosmos DB accounts are reached through private endpoints only",
    severity="critical",
    types=ACCOUNT,
    remedy="set publicNetworkAccess to Disabled",
    references=("CKV_AZURE_101", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Findings:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the account is reachable from the Internet")


@control(
    "azure-cosmos-local-auth",
    title="Cosmos DB accounts reject account keys",
    severity="high",
    types=ACCOUNT,
    remedy="set disableLocalAuth to true and assign data-plane roles",
    references=("CKV_AZURE_140", "AzPolicy:local-auth"),
)
def local_auth(props: Props) -> Findings:
    yield from expect(props, "disableLocalAuth", IS_TRUE, "a leaked account key gives full access")


@control(
    "azure-cosmos-azure-datacenters",
    title="Cosmos DB firewalls allow neither all of Azure nor the Internet",
    severity="high",
    types=ACCOUNT + FIREWALL,
    remedy="remove the ipRules entry 0.0.0.0 and use a private endpoint",
    references=("AzPolicy:no-all-Azure-data-centers",),
)
def azure_datacenters(props: Props) -> Findings:
    risk = "machines of every Azure customer can connect"
    narrow = Requirement(
        "must not mean all of Azure or the Internet",
        lambda address: isinstance(address, str) and address != "" and not is_whole_internet(address),
    )
    for path in ("ipRules[*].ipAddressOrRange", "startIpAddress"):
        yield from expect(props, path, narrow, risk, absent_passes=True)
    if is_wide_range(look_up(props, "startIpAddress"), look_up(props, "endIpAddress")):
        yield "endIpAddress must be the end of a range of client addresses, otherwise the Internet can connect"


@control(
    "azure-cosmos-tls",
    title="Cosmos DB accounts require TLS 1.2",
    severity="medium",
    types=ACCOUNT,
    remedy="set minimalTlsVersion to Tls12",
    references=("prowler:cosmosdb_account_minimum_tls_version",),
)
def tls(props: Props) -> Findings:
    yield from expect(props, "minimalTlsVersion", one_of("Tls12", "Tls13"), "outdated versions of TLS are accepted")


@control(
    "azure-cosmos-continuous-backup",
    title="Cosmos DB accounts can be restored to any recent minute",
    severity="medium",
    types=ACCOUNT,
    remedy="set backupPolicy.type to Continuous",
    references=("prowler:cosmosdb_account_backup_policy_continuous",),
)
def continuous_backup(props: Props) -> Findings:
    yield from expect(props, "backupPolicy.type", one_of("Continuous"), "hours of data can be lost")
