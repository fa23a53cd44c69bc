"""Support calendars of the clouds' managed services: dated data, with sources and the day of the check.

They decide which versions the program offers, and which versions the simulated clouds reject on the day that a
rehearsal is set to. No other module states them. A test fails when they are stale, and says what to look up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

CHECKED = date(2026, 11, 28)
# Kubernetes is released three times a year, so within this time one of the clouds adds or retires a version.
LONGEST_WITHOUT_CHECK = timedelta(days=90)


@dataclass(frozen=True)
class SupportCalendar:
    """The support calendar of a managed service.

    ends      last day of standard support, by version, oldest version first
    source    URL of the calendar
    extended  how long optional support at extra cost lasts after standard support; None: unknown
    has_gaps  whether it omits versions that the service supports but no stack uses
    """

    service: str
    ends: Mapping[str, date]
    source: str
    extended: timedelta | None = None
    has_gaps: bool = False

    def describe_age(self, today: date) -> str:
        """Why the calendar is too old to be used on a day; empty if it is not."""
        if today <= CHECKED + LONGEST_WITHOUT_CHECK:
            return ""
        return f"{self.service}'s calendar of versions was last compared with {self.source} on {CHECKED}"


AKS = SupportCalendar(
    "AKS",
    # Support ends on the last day of the month in the calendar. The calendar, dated 2026-08-05, announces 1.37 for
    # October 2026; `az aks get-versions --location <location>` shows whether a region has it.
    {
        "1.32": date(2026, 3, 31),
        "1.33": date(2026, 7, 31),
        "1.34": date(2026, 11, 30),
        "1.35": date(2027, 3, 31),
        "1.36": date(2027, 6, 30),
        "1.37": date(2027, 10, 31),
    },
    "https://learn.microsoft.com/azure/aks/supported-kubernetes-versions",
)
EKS = SupportCalendar(
    "EKS",
    {
        "1.32": date(2026, 3, 23),
        "1.33": date(2026, 7, 29),
        "1.34": date(2026, 12, 2),
        "1.35": date(2027, 3, 27),
        "1.36": date(2027, 8, 2),
    },
    "https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html",
    timedelta(days=365),
)
# Major versions of PostgreSQL; the clouds choose and update the minor version.
AZURE_POSTGRESQL = SupportCalendar(
    "Azure Database for PostgreSQL",
    {"16": date(2028, 11, 9)},
    "https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-version-policy",
    has_gaps=True,
)
RDS_POSTGRESQL = SupportCalendar(
    "RDS for PostgreSQL",
    {"16": date(2029, 2, 28)},
    "https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html",
    timedelta(days=3 * 365),
    has_gaps=True,
)
