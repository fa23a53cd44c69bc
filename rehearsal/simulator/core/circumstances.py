"""The circumstances of a rehearsal: the date, who deploys and from where, and the kind of account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from kernel.support_calendars import CHECKED


class Person(StrEnum):
    """Whose identity the clouds see."""

    DEPLOYER = "deployer"
    PIPELINE = "ci"
    COLLEAGUE = "operator"


class Account(StrEnum):
    """The account's history: only the preparation that preflight requires, nothing at all, or earlier deployments."""

    FRESH = "fresh"
    UNPREPARED = "unprepared"
    USED = "used"


@dataclass(frozen=True)
class Caller:
    """Who deploys, and from where.

    address     IPv4 address, public or private; empty for a caller inside the stack's own network, who can reach all of
                its private addresses
    principals  the principals with access that this person acts as: roles on AWS, groups on Azure
    remedies    pairs of a kind of access (`public`, `private`, `admins`) and the project's setting that grants it
    """

    person: Person = Person.DEPLOYER
    address: str = ""
    principals: Collection[str] = ()
    remedies: Collection[tuple[str, str]] = ()

    def describe(self) -> Mapping[str, str]:
        """The caller's entries in the account of a request: `caller`, and `principal`, which is empty for its own."""
        return {"caller": self.person.value, "principal": next(iter(self.principals), "")}

    def name_setting(self, access: str) -> str:
        """The end of a message, which names the project's setting for a kind of access; empty if none is known."""
        setting = dict(self.remedies).get(access, "")
        return f" The stack's setting for that is {setting}." if setting else ""


@dataclass(frozen=True)
class Shortage:
    """A virtual machine size that is out of stock in a region or a zone, such as `m6i.xlarge` in `eu-west-1a`."""

    place: str
    size: str

    def concerns(self, region: str, zone: str) -> bool:
        """Whether it applies to a zone; `zone` is empty for machines that are not in a zone."""
        return self.place in (region, zone)


@dataclass(frozen=True)
class Circumstances:
    """
    today       the date in the clouds; by default the day on which their calendars were checked
    sold_out    sizes of machines that are out of stock
    principals  roles and groups that exist outside the stack, because its settings grant them access
    has_slow_grants  whether grants take effect as late as they may, rather than immediately
    registered  on Azure, the resource providers registered when a fresh subscription was prepared; None: all
    """

    today: date = CHECKED
    caller: Caller = field(default_factory=Caller)
    account: Account = Account.FRESH
    registered: Collection[str] | None = None
    sold_out: Collection[Shortage] = ()
    principals: Collection[str] = ()
    has_slow_grants: bool = False

    def is_sold_out(self, size: str, region: str, zone: str = "") -> bool:
        """Whether a size is out of stock in a zone, or in the region if `zone` is empty."""
        return any(each.size == size and each.concerns(region, zone) for each in self.sold_out)


USUAL = Circumstances()

# On Azure, the resource providers that every subscription has registered. Source:
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types
REGISTERED_BY_DEFAULT = frozenset(
    f"Microsoft.{name}"
    for name in (
        "Advisor Authorization Billing ClassicSubscription Commerce Consumption CostManagement Features "
        "MarketplaceOrdering Portal ResourceGraph ResourceHealth ResourceIntelligence Resources SerialConsole Support"
    ).split()
)
