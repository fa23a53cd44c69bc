"""What clouds do not offer in each of their regions: dated data, with sources and the day of the check.

The program accepts locations by it, and the simulated clouds refuse by it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

# Regions gain features now and then; a location that is refused for too long is an annoyance, no outage.
LONGEST_WITHOUT_CHECK = timedelta(days=180)


@dataclass(frozen=True)
class RegionalOffer:
    """A feature of a service.

    missing_in  locations that do not have it
    checked     when that was compared with `source`
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
