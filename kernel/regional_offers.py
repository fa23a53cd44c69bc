"""Features that clouds do not offer in every region: dated data, with sources and the day of the check.

The program and the simulated clouds both reject locations by this data. What a cloud blocks for lack of machines may be
unblocked on any day: of that, a rehearsal has a note, and a preflight asks the cloud.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

# Of what is rejected. Regions gain features now and then; rejecting one for too long is an annoyance, not an outage.
LONGEST_WITHOUT_CHECK = timedelta(days=180)


@dataclass(frozen=True)
class RegionalOffer:
    """A feature of a service.

    missing_in  locations that do not have it
    checked     day on which `missing_in` was compared with `source`, or that the source itself states
    """

    feature: str
    missing_in: Collection[str]
    source: str
    checked: date


AKS_API_IN_NETWORK = RegionalOffer(
    "API Server VNet Integration",
    frozenset({"qatarcentral"}),
    "https://learn.microsoft.com/azure/aks/api-server-vnet-integration#availability",
    date(2026, 11, 30),
)
# West Europe was blocked in 2023 already: https://github.com/MicrosoftDocs/azure-docs/issues/109999
AZURE_POSTGRESQL_STANDBY = RegionalOffer(
    "new zone-redundant servers of Azure Database for PostgreSQL",
    frozenset(
        (
            "brazilsouth centralindia eastasia eastus eastus2 germanywestcentral japanwest mexicocentral northeurope "
            "qatarcentral southcentralus southeastasia westeurope westus2"
        ).split()
    ),
    "https://github.com/MicrosoftDocs/azure-databases-docs/blob/main/articles/postgresql/includes/regions-table.md",
    date(2025, 12, 22),
)
