"""Versions of what the clouds manage, each with the last day of its standard support. No other module states them.

The calendars were compared with their sources on `CHECKED`. A test fails when the table is stale, that is when the day
of the check is too long ago or when a version in use nears the end of its support, and says what to look up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from infra.core.settings.clouds import Cloud

CHECKED = date(2026, 11, 28)
# Standard support that a version must have left to be offered. A cluster that starts with less has to be upgraded
# before its team has settled in; both clouds announce an end of support 30 or more days ahead.
MINIMUM_SUPPORT = timedelta(days=30)


@dataclass(frozen=True)
class Calendar:
    """The support calendar of a managed service.

    ends     last day of standard support, by version, oldest version first
    default  the version of stacks that choose none
    source   URL of the calendar
    """

    service: str
    ends: Mapping[str, date]
    default: str
    source: str

    def list_offered(self, on: date = CHECKED) -> tuple[str, ...]:
        """The versions that had enough standard support left on that day."""
        return tuple(version for version, end in self.ends.items() if end >= on + MINIMUM_SUPPORT)


# KServe 0.20 needs Kubernetes 1.32 or later.
KUBERNETES: Mapping[Cloud, Calendar] = {
    # Ends on the last day of the month that the calendar names. The calendar, dated 2026-08-05, announces 1.37 for
    # October 2026; `az aks get-versions --location <location>` tells whether a region has it.
    Cloud.AZURE: Calendar(
        "AKS",
        {
            "1.32": date(2026, 3, 31),
            "1.33": date(2026, 7, 31),
            "1.34": date(2026, 11, 30),
            "1.35": date(2027, 3, 31),
            "1.36": date(2027, 6, 30),
            "1.37": date(2027, 10, 31),
        },
        default="1.36",
        source="https://learn.microsoft.com/azure/aks/supported-kubernetes-versions",
    ),
    Cloud.AWS: Calendar(
        "EKS",
        {
            "1.32": date(2026, 3, 23),
            "1.33": date(2026, 7, 29),
            "1.34": date(2026, 12, 2),
            "1.35": date(2027, 3, 27),
            "1.36": date(2027, 8, 2),
        },
        default="1.36",
        source="https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html",
    ),
}

# Major versions of PostgreSQL; the clouds choose and update the minor version.
POSTGRESQL: Mapping[Cloud, Calendar] = {
    Cloud.AZURE: Calendar(
        "Azure Database for PostgreSQL",
        {"16": date(2028, 11, 9)},
        default="16",
        source="https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-version-policy",
    ),
    Cloud.AWS: Calendar(
        "RDS for PostgreSQL",
        {"16": date(2029, 2, 28)},
        default="16",
        source="https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html",
    ),
}
