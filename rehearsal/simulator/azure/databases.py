"""PostgreSQL flexible server."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kernel.regional_offers import AZURE_POSTGRESQL_STANDBY
from kernel.support_calendars import AZURE_POSTGRESQL
from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, get_location
from rehearsal.simulator.core.calendar import note_support, refuse_unsupported
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest
from rehearsal.simulator.core.rules import (
    in_range,
    matches,
    note_unlisted,
    parse_cidr,
    refuse_when,
    unless_unchanged,
)
from rehearsal.simulator.core.transitions import (
    compare_versions,
    only_grows,
    refuse_change,
    refuse_change_when,
)

_POSTGRES = "Microsoft.DBforPostgreSQL/flexibleServers/{serverName}"


# As documented at https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage; 4095 and 32767 are
# from memory of the API, not checked against a live account.
_DISK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4095, 4096, 8192, 16384, 32767)
_DEFAULT_DISK = "Premium_LRS"
_DEFAULT_ENCRYPTION = "SystemManaged"
_TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}
_RESERVED_LOGINS = ("azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public")
_PARAMETERS: Mapping[str, frozenset[str]] = {
    "require_secure_transport": frozenset({"on", "off"}),
    "ssl_min_protocol_version": frozenset({"TLSv1.2", "TLSv1.3"}),
}


def _require_new_server(request: ResourceRequest) -> str | None:
    """The inputs that a server needs unless it is created from another one; with only Entra logins, no password.

    Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/postgres/postgresql_flexible_server_resource.go
    """
    if request.get("createMode") not in (None, "Create", "Default", UNKNOWN):
        return None
    needed = ["sku.name", "sku.tier"]
    if request.get("authConfig.passwordAuth") not in ("Disabled", UNKNOWN):
        needed += ["administratorLogin", "administratorLoginPassword"]
    missing = [path for path in needed if request.get(path) is None]
    return f"InvalidParameterValue: the server is incomplete: set {', '.join(missing)}." if missing else None


def _require_geo_key(request: ResourceRequest) -> str | None:
    """With a customer-managed key, geo-redundant backups need a key in their region, and an identity in that region.

    Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-data-encryption
    """
    is_copied = request.get("backup.geoRedundantBackup") == "Enabled"
    if not is_copied or request.get("dataEncryption.type") != "AzureKeyVault":
        return None
    paths = ("dataEncryption.geoBackupKeyURI", "dataEncryption.geoBackupUserAssignedIdentityId")
    missing = [path for path in paths if request.get(path) is None]
    return (
        f"InvalidParameterValue: geo-redundant backups need a key of their region: set {', '.join(missing)}."
        if missing
        else None
    )


# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/postgres/validate/flexible_server_sku_name.go
def _size_differs_from_tier(request: ResourceRequest) -> bool:
    size, tier = request.get("sku.name"), request.get("sku.tier")
    if not isinstance(size, str) or not isinstance(tier, str):
        return False
    return _TIERS.get(size.partition("_")[2][:1], tier) != tier


def _check_disk_size(request: ResourceRequest) -> str | None:
    """Premium SSDs, the default, have fixed sizes; disks of other types can have any size within their limits."""
    size, type_ = request.get("storage.storageSizeGB", UNKNOWN), request.get("storage.type", "Premium_LRS")
    if size is UNKNOWN or type_ != "Premium_LRS" or size in _DISK_SIZES:
        return None
    return f"InvalidParameterValue: Invalid value given for parameter Storage: {size} GiB is not a size of disk."


# Source: https://learn.microsoft.com/azure/postgresql/flexible-server/quickstart-create-server-portal
def _has_weak_password(request: ResourceRequest) -> bool:
    password = request.get("administratorLoginPassword")
    if not isinstance(password, str):
        return False
    kinds = [r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]"]
    return not 8 <= len(password) <= 128 or sum(bool(re.search(kind, password)) for kind in kinds) < 3


# Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-high-availability
def _standby_shares_zone(request: ResourceRequest) -> bool:
    zone, standby = request.get("availabilityZone"), request.get("highAvailability.standbyAvailabilityZone")
    zonal = request.get("highAvailability.mode") == "ZoneRedundant"
    return zonal and isinstance(zone, str) and bool(zone) and zone == standby  # empty: Azure chooses


# Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-private
def _check_delegated_subnet(request: ResourceRequest) -> str | None:
    subnet = request.state.find(str(request.get("network.delegatedSubnetResourceId")))
    if subnet is None:
        return None
    services = [item["serviceName"] for item in subnet.inputs.get("delegations", ())]
    if "Microsoft.DBforPostgreSQL/flexibleServers" not in services:
        return f"Subnet {subnet.id} is not delegated to Microsoft.DBforPostgreSQL/flexibleServers."
    size = parse_cidr(subnet.inputs.get("addressPrefix"))
    return f"Subnet {subnet.id} is smaller than /28." if size and size.prefixlen > 28 else None


# Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-private
def _check_dns_zone(request: ResourceRequest) -> str | None:
    zone = request.state.find(str(request.get("network.privateDnsZoneArmResourceId")))
    if zone is None or zone.inputs["privateZoneName"].endswith(".postgres.database.azure.com"):
        return None
    return "The private DNS zone's name must end with '.postgres.database.azure.com'."


def _note_blocked_standby(request: ResourceRequest) -> str | None:
    offer, location = AZURE_POSTGRESQL_STANDBY, get_location(request)
    if request.get("highAvailability.mode") != "ZoneRedundant" or location not in offer.missing_in:
        return None
    return (
        f"whether {location} has {offer.feature}, which it did not have on {offer.checked} ({offer.source}); "
        "`make preflight` asks Azure"
    )


# Documented at https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-ssl-tls; the message is
# not Azure's own.
def _check_parameter(request: ResourceRequest) -> str | None:
    name, value = request.get("configurationName"), request.get("value")
    if name is UNKNOWN or value is UNKNOWN:
        return None
    if value is not None and name in _PARAMETERS and value not in _PARAMETERS[name]:
        return f"InvalidParameterValue: '{value}' is not a valid value of '{name}'."
    return None


MODELS = (
    arm_model(
        "dbforpostgresql:Server",
        _POSTGRES,
        located=True,
        identity=True,
        outputs={"fullyQualifiedDomainName": "{serverName}.postgres.database.azure.com", "state": "Ready"},
        # The API's specification allows these only at creation. Source:
        # https://github.com/Azure/azure-rest-api-specs/blob/main/specification/postgresql/resource-manager/Microsoft.DBforPostgreSQL/stable/2025-08-01/openapi.json
        replace_on_changes=("administratorLogin", "availabilityZone", "backup.geoRedundantBackup"),
        transitions=(
            # Documented at https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-private;
            # the message is not Azure's own.
            refuse_change(
                "network.delegatedSubnetResourceId",
                "InvalidParameterValue: the server cannot be moved from subnet {old} to {new}.",
            ),
            # Documented at https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-data-encryption; the
            # message is not Azure's own.
            refuse_change(
                "dataEncryption.type",
                "InvalidParameterValue: the type of data encryption cannot be changed from {old} to {new}.",
                unset=_DEFAULT_ENCRYPTION,
            ),
            # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-limits
            only_grows(
                "storage.storageSizeGB",
                "InvalidParameterValue: storage size cannot be reduced: new storage size of {new} GiB is less than the "
                "current size of {old} GiB.",
            ),
            # Documented at https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage
            refuse_change(
                "storage.type",
                "InvalidParameterValue: the storage type cannot be changed from {old} to {new}.",
                unset=_DEFAULT_DISK,
            ),
            # Documented at https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-major-version-upgrade
            refuse_change_when(
                "version",
                lambda old, new: compare_versions(old, new) < 0,
                "InvalidParameterValue: the server's version cannot be changed from {old} to {new}: only upgrades are "
                "supported.",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftdbforpostgresql
            matches(
                "serverName",
                r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
                "The server name '{value}' must be 3 to 63 lower-case letters, digits or '-'.",
            ),
            # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/quickstart-create-server-portal
            matches(
                "administratorLogin",
                rf"(?!pg_|({'|'.join(_RESERVED_LOGINS)})$)[A-Za-z0-9_]{{1,63}}",
                "InvalidParameterValue: '{value}' is reserved, or not a valid administrator login.",
            ),
            # The message is not Azure's own.
            unless_unchanged(
                "version",
                refuse_unsupported("version", AZURE_POSTGRESQL, "ParameterOutOfRange: version {value} is retired."),
            ),
            _require_new_server,
            _require_geo_key,
            refuse_when(_has_weak_password, "The password does not meet the complexity requirements."),
            refuse_when(
                _size_differs_from_tier, "InvalidParameterValue: the size {sku.name} is not one of the tier {sku.tier}."
            ),
            _check_disk_size,
            # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-backup-restore
            in_range(
                "backup.backupRetentionDays",
                7,
                35,
                "InvalidParameterValue: backup retention of {value} days is not in 7 to 35.",
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/postgres/postgresql_flexible_server_resource.go
            *(
                in_range(
                    f"maintenanceWindow.{unit}",
                    0,
                    high,
                    f"InvalidParameterValue: {unit} {{value}} of the maintenance window is not in 0 to {high}.",
                )
                for unit, high in (("dayOfWeek", 6), ("startHour", 23), ("startMinute", 59))
            ),
            # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-high-availability
            refuse_when(
                lambda request: (
                    request.get("highAvailability.mode", "Disabled") not in (UNKNOWN, "Disabled")
                    and request.get("sku.tier") == "Burstable"
                ),
                "High availability is not supported for the Burstable tier.",
            ),
            refuse_when(
                _standby_shares_zone,
                "InvalidParameterValue: the standby of a zone-redundant server must be in another zone.",
            ),
            # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-private
            refuse_when(
                lambda request: (
                    request.get("network.delegatedSubnetResourceId") is not None
                    and request.get("network.privateDnsZoneArmResourceId") is None
                ),
                "The privateDnsZoneArmResourceId is required in a virtual network.",
            ),
        ),
        state_rules=(_check_delegated_subnet, _check_dns_zone),
        notes=(note_support("version", AZURE_POSTGRESQL, "PostgreSQL"), _note_blocked_standby),
    ),
    arm_model(
        "dbforpostgresql:Database",
        _POSTGRES + "/databases/{databaseName}",
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/postgres/validate/flexible_server_database_name.go
            matches(
                "databaseName",
                r"[A-Za-z_-][A-Za-z0-9_-]{0,62}",
                "The database name '{value}' is not valid.",
            ),
        ),
    ),
    arm_model(
        "dbforpostgresql:Configuration",
        _POSTGRES + "/configurations/{configurationName}",
        transitions=UNRESTRICTED,
        rules=(_check_parameter,),
        notes=(note_unlisted("configurationName", _PARAMETERS.keys(), "whether the server has the parameter"),),
    ),
)
