"""Azure Database for PostgreSQL, flexible server: encryption, logins, and failure of a zone."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import expect, one_of
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

SERVER = ("azure-native:dbforpostgresql:Server",)
CLUSTER = ("azure-native:dbforpostgresql:ServerGroupCluster",)  # Azure Cosmos DB for PostgreSQL
CONFIGURATION = ("azure-native:dbforpostgresql:Configuration",)


@control(
    "azure-postgres-kms",
    title="PostgreSQL servers are encrypted with a customer-managed key",
    severity="medium",
    types=SERVER + CLUSTER,
    remedy="set dataEncryption.type to AzureKeyVault, with primaryKeyURI; it cannot be changed later",
    references=("AzPolicy:postgres-CMK",),
)
def kms(props: Props) -> Findings:
    risk = "disks and backups are not encrypted with a key of the subscription"
    yield from expect(props, "dataEncryption.type", one_of("AzureKeyVault"), risk)


@control(
    "azure-postgres-entra-login",
    title="PostgreSQL servers accept Entra ID identities",
    severity="medium",
    types=SERVER + CLUSTER,
    remedy="set authConfig.activeDirectoryAuth to Enabled",
    references=("AzPolicy:postgres-Entra-only",),
)
def entra_login(props: Props) -> Findings:
    path = "authConfig.activeDirectoryAuth"
    yield from expect(props, path, one_of("Enabled"), "workloads need passwords, which do not expire")


@control(
    "azure-postgres-tls-version",
    title="PostgreSQL servers require TLS 1.2",
    severity="medium",
    types=CONFIGURATION,
    remedy="leave ssl_min_protocol_version at TLSv1.2, or set it to TLSv1.3",
)
def tls_version(props: Props) -> Findings:
    name = look_up(props, "configurationName")
    if name is UNKNOWN:
        yield Undecided("configurationName")
    elif name == "ssl_min_protocol_version":
        accepted = one_of("TLSv1.2", "TLSv1.3")
        yield from expect(props, "value", accepted, "outdated versions of TLS are accepted", absent_passes=True)


@control(
    "azure-postgres-high-availability",
    title="PostgreSQL servers have a standby in another zone",
    severity="low",
    types=SERVER,
    remedy="set highAvailability.mode to ZoneRedundant",
    settings={"exemptEnvironments": EXEMPT},
)
def high_availability(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    path = "highAvailability.mode"
    yield from expect(props, path, one_of("ZoneRedundant"), "the loss of one zone stops the database")


@control(
    "azure-postgres-auto-grow",
    title="PostgreSQL servers extend their disk before it is full",
    severity="low",
    types=SERVER,
    remedy="set storage.autoGrow to Enabled",
)
def auto_grow(props: Props) -> Findings:

    yield from expect(props, "storage.autoGrow", one_of("Enabled"), "a full disk makes the database read-only")


@control(
    "azure-postgres-maintenance-window",
    title="PostgreSQL servers are maintained in a window that their owner chose",
    severity="low",
    types=SERVER + CLUSTER,
    remedy="set maintenanceWindow.customWindow to Enabled, with dayOfWeek and startHour",
)
def maintenance_window(props: Props) -> Findings:
    path = "maintenanceWindow.customWindow"
    yield from expect(props, path, one_of("Enabled"), "Azure restarts the server on a day that nobody knows")
