"""The calendars of supported versions: they are current, and stacks get their versions from them.

Proves that no stack is declared with a version that the clouds reject or charge extra for, according to the calendars.
It does not prove that they agree with the clouds' pages: people compare them when they update the calendars.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from infra.core.settings import Cloud
from infra.core.settings.limits import AZURE_LOCATIONS
from infra.core.settings.versions import KUBERNETES, POSTGRESQL, Offer
from kernel.regional_offers import AKS_API_IN_NETWORK
from kernel.regional_offers import LONGEST_WITHOUT_CHECK as OFFERS_WITHOUT_CHECK
from kernel.support_calendars import CHECKED, LONGEST_WITHOUT_CHECK, SupportCalendar
from tests.support.recording import stack_context

OFFERS = [offer for offers in (KUBERNETES, POSTGRESQL) for offer in offers.values()]


def find_stale(offer: Offer, today: date) -> list[str]:
    """What has to be looked up again before the offer can be used on that day."""
    calendar = offer.calendar
    look_up = f"compare kernel/support_calendars.py with {calendar.source} and set CHECKED to the day of the check"
    if age := calendar.describe_age(today):
        return [f"{age}: {look_up}"]
    return [
        f"{calendar.service} {version} is offered, but its standard support ends on {calendar.ends[version]}: {look_up}"
        for version in offer.list_offered()
        if version not in offer.list_offered(today)
    ]


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.calendar.service)
def test_no_calendar_is_stale(offer: Offer) -> None:
    assert find_stale(offer, date.today()) == []


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.calendar.service)
def test_the_default_is_offered(offer: Offer) -> None:
    assert offer.default in offer.list_offered()


def test_regional_offers_are_not_stale() -> None:
    offer = AKS_API_IN_NETWORK
    look_up = f"compare {offer.feature} in kernel/regional_offers.py with {offer.source}, and set its day"
    assert date.today() <= offer.checked + OFFERS_WITHOUT_CHECK, look_up


def test_a_location_without_a_feature_that_every_stack_uses_is_not_offered() -> None:
    assert set(AZURE_LOCATIONS).isdisjoint(AKS_API_IN_NETWORK.missing_in)
    assert "westeurope" in AZURE_LOCATIONS


def test_a_calendar_is_stale_some_time_after_its_check() -> None:
    offer = Offer(SupportCalendar("EKS", {"1.1": date.max}, "https://example.com"), "1.1")
    assert find_stale(offer, CHECKED + LONGEST_WITHOUT_CHECK) == []
    (message,) = find_stale(offer, CHECKED + LONGEST_WITHOUT_CHECK + timedelta(days=1))
    assert message.startswith("EKS's calendar of versions was last compared with https://example.com on")
    assert f"{CHECKED}: compare kernel/support_calendars.py" in message


def test_a_calendar_is_stale_when_a_version_that_it_offers_ends() -> None:
    offer = Offer(SupportCalendar("EKS", {"1.1": CHECKED + timedelta(days=31)}, "https://example.com"), "1.1")
    assert find_stale(offer, CHECKED + timedelta(days=1)) == []
    (message,) = find_stale(offer, CHECKED + timedelta(days=2))
    assert "EKS 1.1 is offered, but its standard support ends on" in message


@pytest.mark.parametrize("cloud", Cloud)
def test_stacks_get_the_default_version_of_their_cloud(cloud: Cloud) -> None:
    settings = stack_context(cloud.value).settings
    assert settings.cluster.kubernetes_version == KUBERNETES[cloud].default
