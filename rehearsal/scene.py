"""The options of a rehearsal that set its circumstances, such as TODAY and CALLER."""

from __future__ import annotations

import difflib
import ipaddress
import re
from argparse import Namespace
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from rehearsal.console import UserError
from rehearsal.project import Project
from rehearsal.simulator.core.circumstances import (
    REGISTERED_BY_DEFAULT,
    Account,
    Caller,
    Circumstances,
    Person,
    Shortage,
)

INSIDE, OUTSIDE = "inside", "outside"
CALLERS = (INSIDE, OUTSIDE, Person.PIPELINE.value, Person.COLLEAGUE.value)
ACCOUNTS = tuple(account.value for account in Account)
PROMPT, SLOW = "prompt", "slow"
GRANTS = (PROMPT, SLOW)
# An address of the internet that no stack should list: documentation only (RFC 5737).
_ELSEWHERE = "198.51.100.7"
_SHORTAGE = re.compile(r"(?P<place>[a-z][a-z0-9-]+)/(?P<size>Standard_\w+(-\w+)?|(db\.)?[a-z0-9-]+\.[a-z0-9-]+)")
_EXAMPLES = {False: "eu-west-1a/m6i.xlarge", True: "westeurope-1/Standard_D4s_v5"}


@dataclass(frozen=True)
class Scene:
    """
    today    date in ISO 8601; empty: the present day
    caller   `inside` and `outside`: the first operator, from an address that the settings allow, or from another one;
             `ci` and `operator`: a pipeline or a second operator, from an address that the settings allow
    account  `fresh`, `unprepared` or `used`
    sold_out sizes of machines that are out of stock, by region or zone: `eu-west-1a/m6i.xlarge,eu-west-1/db.m6g.large`
    grants   `prompt`: roles and access take effect at once; `slow`: as late as possible
    """

    today: str = ""
    caller: str = INSIDE
    account: str = Account.FRESH.value
    sold_out: str = ""
    grants: str = PROMPT

    @classmethod
    def parse(cls, arguments: Namespace) -> Scene:
        """The scene of a command's options; empty ones have their defaults. Raises UserError if one is not valid."""
        options = {name: value for name in cls.__dataclass_fields__ if (value := vars(arguments).get(name))}
        scene = cls(**options)
        require_one_of("CALLER", scene.caller, CALLERS)
        require_one_of("ACCOUNT", scene.account, ACCOUNTS)
        require_one_of("GRANTS", scene.grants, GRANTS)
        scene.get_day()
        scene.list_shortages()
        return scene

    def get_day(self) -> date:
        """The date of the rehearsal. Raises UserError if `today` is not a date."""
        try:
            return date.fromisoformat(self.today) if self.today else date.today()
        except ValueError as error:
            raise UserError(f"TODAY='{self.today}' is not a date: {error}. Write it as 2027-06-01.") from None

    def list_shortages(self) -> list[Shortage]:
        """The sizes that are sold out. Raises UserError if `sold_out` is not valid."""
        return [_read_shortage(text.strip()) for text in self.sold_out.split(",") if self.sold_out]

    def describe(self) -> str:
        """The options that differ from the defaults, for people; empty if there are none."""
        values, usual = vars(self), vars(USUAL_SCENE)
        return ", ".join(f"{name.upper()}={value}" for name, value in values.items() if value != usual[name])

    def resolve(self, project: Project, config: Mapping[str, Any]) -> Circumstances:
        """The circumstances for a stack with these settings. Raises UserError if they do not fit the stack."""
        caller, account = self._find_caller(project, config), Account(self.account)
        registered = REGISTERED_BY_DEFAULT if account is Account.UNPREPARED else project.registered_providers()
        shortages = self.list_shortages()
        location = config.get(f"{project.name}:location")
        for each in shortages:
            if isinstance(location, str) and not _is_in(each.place, location):
                raise UserError(
                    f"SOLD_OUT='{self.sold_out}' names {each.place}, but the stack is in {location}: name that region, "
                    f"or a zone of it, such as {_EXAMPLES[each.size.startswith('Standard_')]}."
                )
        admins = _look_up(project, config, project.callers.get("admins", ""))
        return Circumstances(
            self.get_day(), caller, account, registered, shortages, tuple(admins), has_slow_grants=self.grants == SLOW
        )

    def _find_caller(self, project: Project, config: Mapping[str, Any]) -> Caller:
        listed = {what: _look_up(project, config, path) for what, path in project.callers.items()}
        blocks = [*listed.get("private", ()), *listed.get("public", ())]
        address = str(next(ipaddress.IPv4Network(blocks[0]).hosts())) if blocks else ""
        remedies = tuple(project.callers.items())
        if self.caller in (INSIDE, OUTSIDE):
            return Caller(Person.DEPLOYER, _ELSEWHERE if self.caller == OUTSIDE else address, (), remedies)
        return Caller(Person(self.caller), address, tuple(listed.get("admins", ())), remedies)


def _look_up(project: Project, config: Mapping[str, Any], path: str) -> list[str]:
    section, _, name = path.partition(".")
    content = config.get(f"{project.name}:{section}", {})
    values = content.get(name, ()) if isinstance(content, Mapping) else ()
    return [str(value) for value in values] if isinstance(values, list) else []


def _read_shortage(text: str) -> Shortage:
    match = _SHORTAGE.fullmatch(text)
    if match is None:
        raise UserError(
            f"SOLD_OUT='{text}' is not a machine size in a region or zone. Write it as {_EXAMPLES[False]} or "
            f"{_EXAMPLES[True]}, and separate several by commas."
        )
    return Shortage(match["place"], match["size"])


def name_zone(location: str, size: str) -> str:
    """The first zone of a region, in the notation of the cloud that has this machine size."""
    return f"{location}-1" if size.startswith("Standard_") else f"{location}a"


def _is_in(place: str, location: str) -> bool:
    """Whether a place is a region, or one of its zones: `eu-west-1a` on AWS, `westeurope-1` on Azure."""
    return bool(re.fullmatch(rf"{re.escape(location)}([a-z]|-\d)?", place))


def require_one_of(name: str, value: str, allowed: Collection[str]) -> None:
    """Raise UserError if the value of an option is not one of those allowed."""
    if value not in allowed:
        (similar, *_) = [*difflib.get_close_matches(value, allowed, n=1), ""]
        hint = f"Did you mean {similar}? " if similar else ""
        raise UserError(f"{name}='{value}' is unknown. {hint}Use one of {', '.join(allowed)}.")


USUAL_SCENE = Scene()
