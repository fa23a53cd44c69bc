"""When the clouds and the cluster's controllers may maintain a stack: some hours of each week, in UTC."""

from __future__ import annotations

from dataclasses import dataclass

from infra.core.settings import Settings
from infra.core.settings.values import DAYS

_HOURS_OF_A_WEEK = 7 * 24


@dataclass(frozen=True)
class WeeklyHour:
    """A full hour of each week in UTC; days count from Sunday, which is 0."""

    day: int
    hour: int

    @property
    def day_name(self) -> str:
        return DAYS[self.day]

    @property
    def time(self) -> str:
        """The time of the day, such as `02:00`."""
        return f"{self.hour:02}:00"

    def move(self, hours: int) -> WeeklyHour:
        """The hour that is some hours later, or earlier."""
        return WeeklyHour(*divmod((self.day * 24 + self.hour + hours) % _HOURS_OF_A_WEEK, 24))


@dataclass(frozen=True)
class MaintenanceWindow:
    start: WeeklyHour
    hours: int

    @property
    def end(self) -> WeeklyHour:
        return self.start.move(self.hours)

    @property
    def hours_outside(self) -> int:
        """The hours of a week in which nothing is maintained."""
        return _HOURS_OF_A_WEEK - self.hours


def find_window(settings: Settings) -> MaintenanceWindow:
    """The window that the setting `maintenance` begins.

    Its length is the least that AKS accepts, and recommends for its upgrades.
    Source: https://learn.microsoft.com/azure/aks/planned-maintenance#create-a-maintenance-window
    """
    day, _, time = settings.maintenance.partition(" ")
    return MaintenanceWindow(WeeklyHour(DAYS.index(day), int(time.partition(":")[0])), hours=4)
