"""Checks that Azure offers a stack's databases in its region to this subscription."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.azure_manager import ResourceManager, has_tags
from deploy.findings import Finding, missing, ok
from infra.core.settings import Settings

_SERVERS = "/providers/Microsoft.DBforPostgreSQL"
_SERVERS_VERSION = "2025-08-01"
_ACCOUNTS = "/providers/Microsoft.DocumentDB"
_ACCOUNTS_VERSION = "2024-08-15"
_OTHER_REGION = "choose another region (location)"


def check_server(manager: ResourceManager, settings: Settings, own: Mapping[str, str]) -> Iterator[Finding]:
    """Check that a new PostgreSQL server can be created. `own` are the tags of a server that the stack already has.

    Azure refuses new servers where it keeps those that exist. The names of features are those that `az postgres
    flexible-server list-skus` reads.
    Source: https://github.com/Azure/azure-rest-api-specs/blob/main/specification/postgresql/resource-manager/Microsoft.DBforPostgreSQL/stable/2025-08-01/Capabilities.json
    """
    if _has_own(manager.get(f"{_SERVERS}/flexibleServers", _SERVERS_VERSION), own):
        yield ok("database", "the stack has its PostgreSQL server")
        return
    path = f"{_SERVERS}/locations/{settings.location}/capabilities"
    offers = manager.get(path, _SERVERS_VERSION)["value"]
    problems = list(_find_server_problems(offers[0] if offers else {}, settings))
    for text, remedy in problems:
        yield missing("database", f"in {settings.location}, Azure Database for PostgreSQL {text}", remedy)
    if not problems:
        yield ok("database", f"PostgreSQL on {settings.database.size} is offered in {settings.location}")


def _find_server_problems(offer: Mapping[str, Any], settings: Settings) -> Iterator[tuple[str, str]]:
    """What Azure does not offer, with the remedy."""
    features = {each["name"]: each["status"] for each in offer.get("supportedFeatures") or ()}
    resilience, size = settings.resilience, settings.database.size
    tiers = offer.get("supportedServerEditions") or ()
    sizes = {each["name"]: each for tier in tiers for each in tier.get("supportedServerSkus") or ()}
    if not sizes or features.get("OfferRestricted") == "Enabled":
        yield "is restricted for this subscription", f"open a support request for access, or {_OTHER_REGION}"
        return
    if size not in sizes:
        yield f"does not offer database.size {size}", f"choose another size, or {_OTHER_REGION}"
    has_zones = "ZoneRedundant" in sizes.get(size, {}).get("supportedHaMode", ["ZoneRedundant"])
    if resilience.multi_zone_database and not (features.get("ZoneRedundantHa") == "Enabled" and has_zones):
        yield (
            "accepts no new servers with a standby in a second zone",
            f"{_OTHER_REGION}, or set resilience.multiZoneDatabase to false",
        )
    copies = "ZoneRedundantHaAndGeoBackup" if resilience.multi_zone_database else "GeoBackup"
    if resilience.second_location and features.get(copies) != "Enabled":
        yield "keeps no copies of backups in a second region", f"{_OTHER_REGION}, or remove resilience.secondLocation"


def check_account(manager: ResourceManager, settings: Settings, own: Mapping[str, str]) -> Iterator[Finding]:
    """Check that a new account of Cosmos DB can be created, in zones if the settings say so; `own` as above.

    Without access Azure refuses it, saying that demand in the region is high.
    Sources: https://learn.microsoft.com/powershell/module/az.cosmosdb/get-azcosmosdblocation and
    https://github.com/Azure/terraform-azurerm-avm-ptn-aiml-landing-zone/issues/17
    """
    location, has_zones = settings.location, settings.resilience.multi_zone_experiments
    if _has_own(manager.get(f"{_ACCOUNTS}/databaseAccounts", _ACCOUNTS_VERSION), own):
        yield ok("experiments", "the stack has its Cosmos DB account")
        return
    offers = manager.get(f"{_ACCOUNTS}/locations", _ACCOUNTS_VERSION)["value"]
    found = [each["properties"] for each in offers if each["name"].replace(" ", "").lower() == location]
    offer: Mapping[str, Any] = found[0] if found else {}
    kind = "zone-redundant accounts" if has_zones else "accounts"
    needed = ["isSubscriptionRegionAccessAllowedForAz", "supportsAvailabilityZone"] if has_zones else []
    if all(offer.get(flag) for flag in needed or ["isSubscriptionRegionAccessAllowedForRegular"]):
        yield ok("experiments", f"Cosmos DB offers {kind} in {location}")
        return
    remedy = f"request access (https://aka.ms/cosmosdbquota), or {_OTHER_REGION}"
    if has_zones:
        remedy += ", or set resilience.multiZoneExperiments to false"
    yield missing("experiments", f"Cosmos DB offers this subscription no {kind} in {location}", remedy)


def _has_own(answer: Mapping[str, Any], own: Mapping[str, str]) -> bool:
    """Whether one of the listed resources has these tags."""
    return any(has_tags(each, own) for each in answer["value"])
