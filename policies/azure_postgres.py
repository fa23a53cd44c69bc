"""Azure Database for PostgreSQL, flexible server: MLflow's backend store."""

from collections.abc import Mapping
from typing import Any

from policies.control import Setting, control
from policies.props import (
    UNKNOWN,
    Props,
    Undecided,
    Verdicts,
    any_of,
    at_least,
    expect,
    expect_set,
    lookup,
    one_of,
)

SERVER = ("azure-native:dbforpostgresql:Server",)
FIREWALL = ("azure-native:dbforpostgresql:FirewallRule",)
CONFIGURATION = ("azure-native:dbforpostgresql:Configuration",)


@control(
    "azure-postgres-public-network",
    title="PostgreSQL servers are not on the Internet",
    severity="critical",
    types=SERVER,
    remedy="delegate a subnet (network.delegatedSubnetResourceId) or set network.publicNetworkAccess to Disabled",
)
def public_network(props: Props) -> Verdicts:
    in_network = expect_set(props, "network.delegatedSubnetResourceId", "the server is in no virtual network")
    closed = expect(props, "network.publicNetworkAccess", one_of("Disabled"), "the server is on the Internet")
    yield from any_of([in_network, closed])


@control(
    "azure-postgres-open-firewall",
    title="PostgreSQL firewalls do not let all of Azure in",
    severity="high",
    types=FIREWALL,
    remedy="name the clients' addresses, or better use a private endpoint and no rule",
)
def open_firewall(props: Props) -> Verdicts:
    # From 0.0.0.0 to 0.0.0.0 is Azure's spelling of "every Azure customer"; to anything else it is wider still.
    refused = "0.0.0.0"  # noqa: S104 (refused, not listened on)
    yield from expect(
        props,
        "startIpAddress",
        lambda address: address != refused,
        "strangers' machines may connect",
        absent_passes=True,
    )


@control(
    "azure-postgres-tls",
    title="PostgreSQL servers insist on TLS",
    severity="high",
    types=CONFIGURATION,
    remedy="leave require_secure_transport on",
)
def tls(props: Props) -> Verdicts:
    name = lookup(props, "configurationName")
    if name is UNKNOWN:
        yield Undecided("configurationName")
    elif name == "require_secure_transport":
        yield from expect(props, "value", one_of("on"), "connections may be unencrypted", absent_passes=True)


@control(
    "azure-postgres-backups",
    title="PostgreSQL servers keep backups long enough",
    severity="medium",
    types=SERVER,
    remedy="raise backup.backupRetentionDays",
    settings={"minDays": Setting({"type": "integer", "minimum": 7, "maximum": 35}, default=7)},
)
def backups(props: Props, settings: Mapping[str, Any]) -> Verdicts:
    # Azure's own default is seven days, so an unset value is judged by that.
    path, enough = "backup.backupRetentionDays", at_least(settings["minDays"])
    yield from expect(props, path, enough, "backups are gone too soon", absent_passes=enough(7))
