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
    """What the account has seen before: nothing, or other deployments."""

    FRESH = "fresh"
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
class Circumstances:
    """
    today       the day in the clouds; by default that on which their calendars were checked
    registered  on Azure, the resource providers that a fresh subscription has been prepared with; None: all
    """

    today: date = CHECKED
    caller: Caller = field(default_factory=Caller)
    account: Account = Account.FRESH
    registered: Collection[str] | None = None


USUAL = Circumstances()
