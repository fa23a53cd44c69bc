"""Azure Database for PostgreSQL, flexible server: the backend store of MLflow."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.controls.addresses import is_wide_range
from policies.engine.control import Setting
from policies.engine.expectations import IS_FALSE, at_least, expect, expect_set, none_of, one_of, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

SERVER = ("azure-native:dbforpostgresql:Server",)
CLUSTER = ("azure-native:dbforpostgresql:ServerGroupCluster",)  # Azure Cosmos DB for PostgreSQL
FIREWALL = (
    "azure-native:dbforpostgresql:FirewallRule",
    "azure-native:dbforpostgresql:ServerGroupFirewallRule",
    "azure-native:dbforpostgresql:SingleServerFirewallRule",
)
CONFIGURATION = ("azure-native:dbforpostgresql:Configuration",)


@control(
    "azure-postgres-public-network",
    title="PostgreSQL servers are not reachable from the Internet",
    severity="critical",
    types=SERVER,
    remedy="delegate a subnet (network.delegatedSubnetResourceId) or set network.publicNetworkAccess to Disabled",
)
def public_network(props: Props) -> Findings:
    in_network = expect_set(props, "network.delegatedSubnetResourceId", "the server is not in a virtual network")
    closed = expect(
        props, "network.publicNetworkAccess", one_of("Disabled"), "the server is reachable from the Internet"
    )
    yield from pass_if_any([in_network, closed])


@control(
    "azure-postgres-cluster-public-network",
    title="Clusters of PostgreSQL servers have no public addresses",
    severity="critical",
    types=CLUSTER,
    remedy="set coordinatorEnablePublicIpAccess to false, and leave nodeEnablePublicIpAccess unset or set it to false",
)
def cluster_public_network(props: Props) -> Findings:
    risk = "the cluster is reachable from the Internet"
    yield from expect(props, "coordinatorEnablePublicIpAccess", IS_FALSE, risk)
    yield from expect(props, "nodeEnablePublicIpAccess", IS_FALSE, risk, absent_passes=True)


@control(
    "azure-postgres-open-firewall",
    title="PostgreSQL firewalls allow neither all of Azure nor the Internet",
    severity="high",
    types=FIREWALL,
    remedy="list the addresses of clients, or use a private endpoint instead",
)
def open_firewall(props: Props) -> Findings:
    # Azure reads 0.0.0.0 to 0.0.0.0 as every Azure service; from 0.0.0.0 to any other address is wider still.
    # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-firewall-rules
    refused = "0.0.0.0"  # noqa: S104 (refused, not listened on)
    risk = "machines of other Azure customers can connect"
    path = "startIpAddress"
    yield from expect(props, path, none_of("must be a client's address", refused), risk, absent_passes=True)
    if is_wide_range(look_up(props, path), look_up(props, "endIpAddress")):
        yield "endIpAddress must be the end of a range of client addresses, otherwise the Internet can connect"


@control(
    "azure-postgres-tls",
    title="PostgreSQL servers require TLS",
    severity="high",
    types=CONFIGURATION,
    remedy="leave require_secure_transport at on",
)
def tls(props: Props) -> Findings:
    name = look_up(props, "configurationName")
    if name is UNKNOWN:
        yield Undecided("configurationName")
    elif name == "require_secure_transport":
        yield from expect(props, "value", one_of("on"), "clients can connect without encryption", absent_passes=True)


@control(
    "azure-postgres-backups",
    title="PostgreSQL servers keep backups for long enough",
    severity="medium",
    types=SERVER,
    remedy="raise backup.backupRetentionDays",
    settings={"minDays": Setting({"type": "integer", "minimum": 7, "maximum": 35}, default=7)},
)
def backups(props: Props, settings: Mapping[str, Any]) -> Findings:
    # Azure retains backups for seven days if nothing is set.
    path, enough = "backup.backupRetentionDays", at_least(settings["minDays"])
    yield from expect(props, path, enough, "backups are deleted too early", absent_passes=enough.accepts(7))
