"""Versions of managed services that stacks can choose from, according to the support calendars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from infra.core.settings.clouds import Cloud
from kernel.support_calendars import AKS, AZURE_POSTGRESQL, CHECKED, EKS, RDS_POSTGRESQL, SupportCalendar

# Standard support that a version must have left to be offered. A cluster that starts with less would have to be
# upgraded almost at once; both clouds announce an end of support 30 or more days ahead.
MINIMUM_SUPPORT = timedelta(days=30)


@dataclass(frozen=True)
class Offer:
    """The versions of a managed service that stacks can choose from.

    calendar  the service's support calendar
    default   the version of stacks that do not choose one
    """

    calendar: SupportCalendar
    default: str

    def list_offered(self, on: date = CHECKED) -> tuple[str, ...]:
        """The versions that have enough standard support left on that day."""
        return tuple(version for version, end in self.calendar.ends.items() if end >= on + MINIMUM_SUPPORT)


# KServe 0.20 needs Kubernetes 1.32 or later.
KUBERNETES: Mapping[Cloud, Offer] = {Cloud.AZURE: Offer(AKS, "1.36"), Cloud.AWS: Offer(EKS, "1.36")}
POSTGRESQL: Mapping[Cloud, Offer] = {Cloud.AZURE: Offer(AZURE_POSTGRESQL, "16"), Cloud.AWS: Offer(RDS_POSTGRESQL, "16")}
