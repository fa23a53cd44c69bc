"""Azure Cosmos DB: private, without keys, restorable to a minute."""

from policies.control import control
from policies.props import Props, Verdicts, expect, is_true, one_of

ACCOUNT = ("azure-native:cosmosdb:DatabaseAccount",)


@control(
    "azure-cosmos-public-network",
    title="Cosmos DB accounts are reached through private endpoints only",
    severity="critical",
    types=ACCOUNT,
    remedy="set publicNetworkAccess to Disabled",
    anchors=("CKV_AZURE_101", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Verdicts:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the account answers on the Internet")


@control(
    "azure-cosmos-local-auth",
    title="Cosmos DB accounts refuse account keys",
    severity="high",
    types=ACCOUNT,
    remedy="set disableLocalAuth to true and assign data-plane roles",
    anchors=("CKV_AZURE_140", "AzPolicy:local-auth"),
)
def local_auth(props: Props) -> Verdicts:
    yield from expect(props, "disableLocalAuth", is_true, "a leaked account key opens everything")


@control(
    "azure-cosmos-azure-datacenters",
    title="Cosmos DB firewalls do not let all of Azure in",
    severity="high",
    types=ACCOUNT,
    remedy="remove the ipRules entry 0.0.0.0 and use a private endpoint",
    anchors=("AzPolicy:no-all-Azure-data-centers",),
)
def azure_datacenters(props: Props) -> Verdicts:
    yield from expect(
        props,
        "ipRules[].ipAddressOrRange",
        lambda address: address not in ("0.0.0.0", "0.0.0.0/0"),  # noqa: S104 (refused, not listened on)
        "every Azure customer's machines may connect",
        absent_passes=True,
    )


@control(
    "azure-cosmos-tls",
    title="Cosmos DB accounts ask for TLS 1.2",
    severity="medium",
    types=ACCOUNT,
    remedy="set minimalTlsVersion to Tls12",
    anchors=("prowler:cosmosdb_account_minimum_tls_version",),
)
def tls(props: Props) -> Verdicts:
    yield from expect(props, "minimalTlsVersion", one_of("Tls12", "Tls13"), "older TLS is accepted")


@control(
    "azure-cosmos-continuous-backup",
    title="Cosmos DB accounts can be restored to any recent minute",
    severity="medium",
    types=ACCOUNT,
    remedy="set backupPolicy.type to Continuous",
    anchors=("prowler:cosmosdb_account_backup_policy_continuous",),
)
def continuous_backup(props: Props) -> Verdicts:
    yield from expect(props, "backupPolicy.type", one_of("Continuous"), "hours of experiments may be lost")
