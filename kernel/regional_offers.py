"""Features that clouds do not offer in every region: dated data, with sources and the day of the check.

The program and the simulated clouds both reject locations by this data.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

# Regions gain features now and then; rejecting a location for too long is an annoyance, not an outage.
LONGEST_WITHOUT_CHECK = timedelta(days=180)


@dataclass(frozen=True)
class RegionalOffer:
    """A feature of a service.

    missing_in  locations that do not have it
    checked     day on which `missing_in` was compared with `source`
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
