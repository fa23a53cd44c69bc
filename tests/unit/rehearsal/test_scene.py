"""The circumstances of a rehearsal, from its options and the stack's settings.

Proves the caller and its address for each option, and that an invalid option is one message. The effects of the
circumstances are proven by the tests of the simulated clouds.
"""

from __future__ import annotations

from argparse import Namespace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rehearsal.console import UserError
from rehearsal.project import Project
from rehearsal.scene import Scene, name_zone
from rehearsal.simulator.core.circumstances import Account, Caller, Person

CALLERS = {"public": "api.allowed", "private": "api.internal", "admins": "api.users"}


def find_caller(name: str, **api: Any) -> Caller:
    project = Project(Path("/shop"), "shop", Path("/shop/stacks"), callers=CALLERS)
    return Scene(caller=name).resolve(project, {"shop:api": api}).caller


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"today": "2027-13-01"}, r"TODAY='2027-13-01' is not a date: .* Write it as 2027-06-01\."),
        ({"today": "tomorrow"}, "TODAY='tomorrow' is not a date"),
        (
            {"caller": "insde"},
            r"CALLER='insde' is unknown\. Did you mean inside\? Use one of inside, outside, ci",
        ),
        ({"grants": "late"}, r"GRANTS='late' is unknown\. Use one of prompt, slow\."),
        ({"account": "old"}, r"ACCOUNT='old' is unknown\. Use one of fresh, unprepared, used\."),
        *(
            (
                {"sold_out": value},
                rf"SOLD_OUT='{last}' is not a machine size .* Write it as eu-west-1a/m6i\.xlarge or westeu",
            )
            for value, last in (("m6i.xlarge", "m6i.xlarge"), ("eu-west-1/", "eu-west-1/"), ("a/b", "a/b"))
        ),
        ({"sold_out": "eu-west-1/m6i.large,m5"}, r"SOLD_OUT='m5' is not a machine size"),
    ],
)
def test_an_invalid_option_is_one_message(options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Scene.parse(Namespace(**options))


def test_empty_options_have_their_defaults() -> None:
    scene = Scene.parse(Namespace(today="", caller=""))
    assert scene == Scene()
    assert scene.describe() == ""
    assert scene.get_day() == date.today()


def test_options_that_differ_from_their_defaults_are_described() -> None:
    scene = Scene.parse(Namespace(today="2027-06-01", caller="outside", account="used"))
    assert scene.describe() == "TODAY=2027-06-01, CALLER=outside, ACCOUNT=used"
    circumstances = scene.resolve(Project(Path("/shop"), "shop", Path("/shop")), {})
    assert (circumstances.today, circumstances.account) == (date(2027, 6, 1), Account.USED)


def test_grants_take_effect_at_once_unless_they_are_slow() -> None:
    project = Project(Path("/shop"), "shop", Path("/shop"))
    assert not Scene().resolve(project, {}).has_slow_grants
    slow = Scene.parse(Namespace(grants="slow"))
    assert slow.describe() == "GRANTS=slow"
    assert slow.resolve(project, {}).has_slow_grants


def test_machines_are_out_of_stock_in_a_zone_or_in_a_region() -> None:
    project, sold_out = Project(Path("/shop"), "shop", Path("/shop")), "eu-west-1a/m6i.xlarge, eu-west-1/db.m6g.large"
    scene = Scene.parse(Namespace(sold_out=sold_out))
    assert scene.describe() == f"SOLD_OUT={sold_out}"
    circumstances = scene.resolve(project, {"shop:location": "eu-west-1"})
    assert circumstances.is_sold_out("m6i.xlarge", "eu-west-1", "eu-west-1a")
    assert not circumstances.is_sold_out("m6i.xlarge", "eu-west-1", "eu-west-1b")
    assert circumstances.is_sold_out("db.m6g.large", "eu-west-1", "eu-west-1b")
    with pytest.raises(
        UserError, match=r"names eu-west-1a, but the stack is in eu-west-2: name that region, or a zone"
    ):
        scene.resolve(project, {"shop:location": "eu-west-2"})


@pytest.mark.parametrize(
    ("location", "size", "zone"),
    [("westeurope", "Standard_D4s_v5", "westeurope-1"), ("eu-west-1", "m6i.xlarge", "eu-west-1a")],
)
def test_a_zone_is_named_as_its_cloud_does(location: str, size: str, zone: str) -> None:
    assert name_zone(location, size) == zone
    shortages = Scene.parse(Namespace(sold_out=f"{zone}/{size}")).list_shortages()
    assert [(each.place, each.size) for each in shortages] == [(zone, size)]


def test_an_unprepared_subscription_has_few_resource_providers() -> None:
    scene = Scene.parse(Namespace(account="unprepared"))
    registered = scene.resolve(Project(Path("/shop"), "shop", Path("/shop")), {}).registered
    assert registered is not None
    assert "Microsoft.Resources" in registered
    assert "Microsoft.ContainerService" not in registered


def test_inside_is_an_address_that_the_settings_allow() -> None:
    assert find_caller("inside", allowed=["203.0.113.0/24"]).address == "203.0.113.1"
    assert find_caller("inside", allowed=["203.0.113.0/24"], internal=["10.90.0.0/16"]).address == "10.90.0.1"
    assert find_caller("inside").address == ""


def test_principals_in_the_settings_exist_for_every_caller() -> None:
    project = Project(Path("/shop"), "shop", Path("/shop/stacks"), callers=CALLERS)
    circumstances = Scene().resolve(project, {"shop:api": {"users": ["arn:aws:iam::111122223333:role/admins"]}})
    assert circumstances.principals == ("arn:aws:iam::111122223333:role/admins",)
    assert list(circumstances.caller.principals) == []


def test_outside_is_in_no_setting() -> None:
    caller = find_caller("outside", allowed=["203.0.113.0/24"], users=["somebody"])
    assert (caller.person, caller.address, list(caller.principals)) == (Person.DEPLOYER, "198.51.100.7", [])


@pytest.mark.parametrize("name", ["ci", "operator"])
def test_another_person_acts_as_a_principal_in_the_settings(name: str) -> None:
    caller = find_caller(name, allowed=["203.0.113.0/24"], users=["admins"])
    assert (caller.person.value, caller.address, list(caller.principals)) == (name, "203.0.113.1", ["admins"])
    assert caller.name_setting("admins") == " The stack's setting for that is api.users."
