"""The calendars of supported versions: current today, and what stacks get from them.

Proves that no stack is declared with a version that the clouds refuse or charge extra for, as far as the calendars say.
It does not prove that they say what the clouds' pages say: whoever updates them compares.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from infra.core.settings import Cloud
from infra.core.settings.versions import CHECKED, KUBERNETES, POSTGRESQL, Calendar
from tests.support.recording import stack_context

# Kubernetes appears three times a year, so within this time one of the clouds adds or retires a version.
LONGEST_WITHOUT_CHECK = timedelta(days=90)
CALENDARS = [calendar for calendars in (KUBERNETES, POSTGRESQL) for calendar in calendars.values()]


def find_stale(calendar: Calendar, today: date) -> list[str]:
    """What has to be looked up before the calendar may be used on that day."""
    look_up = f"compare infra/core/settings/versions.py with {calendar.source} and set CHECKED to the day of the check"
    if today > CHECKED + LONGEST_WITHOUT_CHECK:
        return [f"{calendar.service} was last checked on {CHECKED}: {look_up}"]
    return [
        f"{calendar.service} {version} is offered, but its standard support ends on {calendar.ends[version]}: {look_up}"
        for version in calendar.list_offered()
        if version not in calendar.list_offered(today)
    ]


@pytest.mark.parametrize("calendar", CALENDARS, ids=lambda calendar: calendar.service)
def test_no_calendar_is_stale(calendar: Calendar) -> None:
    assert find_stale(calendar, date.today()) == []


@pytest.mark.parametrize("calendar", CALENDARS, ids=lambda calendar: calendar.service)
def test_the_default_is_offered(calendar: Calendar) -> None:
    assert calendar.default in calendar.list_offered()


def test_a_calendar_is_stale_some_time_after_its_check() -> None:
    calendar = Calendar("EKS", {"1.1": date.max}, "1.1", "https://example.com")
    assert find_stale(calendar, CHECKED + LONGEST_WITHOUT_CHECK) == []
    (message,) = find_stale(calendar, CHECKED + LONGEST_WITHOUT_CHECK + timedelta(days=1))
    assert message.startswith(f"EKS was last checked on {CHECKED}: compare")
    assert "https://example.com" in message


def test_a_calendar_is_stale_when_a_version_that_it_offers_ends() -> None:
    calendar = Calendar("EKS", {"1.1": CHECKED + timedelta(days=31)}, "1.1", "https://example.com")
    assert find_stale(calendar, CHECKED + timedelta(days=1)) == []
    (message,) = find_stale(calendar, CHECKED + timedelta(days=2))
    assert "EKS 1.1 is offered, but its standard support ends on" in message


@pytest.mark.parametrize("cloud", Cloud)
def test_stacks_get_the_default_version_of_their_cloud(cloud: Cloud) -> None:
    settings = stack_context(cloud.value).settings
    assert settings.cluster.kubernetes_version == KUBERNETES[cloud].default
