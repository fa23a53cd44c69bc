"""In which circumstances a rehearsal takes place: on which day, by whom and from where, and in what kind of account."""

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
    """What the account has seen before: nothing but the preparation that preflight demands, nothing, or deployments."""

    FRESH = "fresh"
    UNPREPARED = "unprepared"
    USED = "used"


@dataclass(frozen=True)
class Caller:
    """Who deploys, and from where.

    address     IPv4 address, public or of a private network; empty: inside the stack's own network, from where all of
                its private addresses are reached
    principals  what people gave access to that this person acts as: roles on AWS, groups on Azure
    remedies    settings of the project by which access is given, by what is lacking: `public`, `private`, `admins`
    """

    person: Person = Person.DEPLOYER
    address: str = ""
    principals: Collection[str] = ()
    remedies: Collection[tuple[str, str]] = ()

    def describe(self) -> Mapping[str, str]:
        """The person as a part of the account that requests see: `caller`, and `principal`, empty for its own."""
        return {"caller": self.person.value, "principal": next(iter(self.principals), "")}

    def name_setting(self, what: str) -> str:
        """The project's setting that gives what is lacking, as an end of a message; empty where none is described."""
        setting = dict(self.remedies).get(what, "")
        return f" The stack's setting for that is {setting}." if setting else ""


@dataclass(frozen=True)
class Shortage:
    """A size of virtual machine that a region or a zone has no machines of, such as `eu-west-1a` and `m6i.xlarge`."""

    place: str
    size: str

    def concerns(self, region: str, zone: str) -> bool:
        """Whether machines in a zone are lacking; `zone` is empty for machines that are in none."""
        return self.place in (region, zone)


@dataclass(frozen=True)
class Circumstances:
    """
    today       the day in the clouds; by default that on which their calendars were checked
    sold_out    sizes of machines that are out of stock
    principals  roles and groups that exist beside the stack, since its settings give them access
    has_slow_grants  whether grants act as late as they may, rather than at once
    registered  on Azure, the resource providers that a fresh subscription has been prepared with; None: all
    """

    today: date = CHECKED
    caller: Caller = field(default_factory=Caller)
    account: Account = Account.FRESH
    registered: Collection[str] | None = None
    sold_out: Collection[Shortage] = ()
    principals: Collection[str] = ()
    has_slow_grants: bool = False

    def is_sold_out(self, size: str, region: str, zone: str = "") -> bool:
        """Whether a zone of a region has no machines of a size."""
        return any(each.size == size and each.concerns(region, zone) for each in self.sold_out)


USUAL = Circumstances()

# On Azure, the resource providers of a subscription for which nobody has registered any. Source:
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types
REGISTERED_BY_DEFAULT = frozenset(
    f"Microsoft.{name}"
    for name in (
        "Advisor Authorization Billing ClassicSubscription Commerce Consumption CostManagement Features "
        "MarketplaceOrdering Portal ResourceGraph ResourceHealth ResourceIntelligence Resources SerialConsole Support"
    ).split()
)
