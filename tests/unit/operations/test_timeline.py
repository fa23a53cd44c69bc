"""The simulated clock of a recovery, and its table of durations."""

from __future__ import annotations

import datetime

import pytest

from estimates import Duration, load_steps
from operations.timeline import RTO, Step, Timeline

DAY = datetime.date(2026, 11, 30)
DURATIONS = {"copy": Duration("copy", 100, "assumed", "a reason", DAY)}


def test_a_step_takes_as_long_as_the_longer_of_measured_and_expected() -> None:
    assert [Step("a", 5, 100).seconds, Step("a", 150, 100).seconds] == [100, 150]


def test_steps_follow_one_another() -> None:
    timeline = Timeline(DURATIONS)
    with timeline.step("Copy", "copy"):
        pass
    timeline.expect("Others copy", "copy")
    assert timeline.seconds == 200
    assert "   100 s     0.0 s     100 s  Others copy" in timeline.render()
    assert "within the 15 min of the RTO" in timeline.render()


def test_a_missed_objective_is_reported() -> None:
    timeline = Timeline({"copy": Duration("copy", RTO + 1, "assumed", "a reason", DAY)})
    timeline.expect("Copy", "copy")
    assert "MORE THAN the 15 min" in timeline.render()


def test_a_step_that_fails_is_not_counted() -> None:
    timeline = Timeline(DURATIONS)
    with pytest.raises(ValueError, match="no"), timeline.step("Copy", "copy"):
        raise ValueError("no")
    assert timeline.steps == []


@pytest.mark.parametrize("duration", load_steps().values(), ids=lambda duration: duration.subject)
def test_each_expected_duration_has_a_source(duration: Duration) -> None:
    assert duration.seconds > 0
    assert duration.how in ("documented", "assumed")
    assert ("https://" in duration.source) == (duration.how == "documented")
    assert duration.checked <= DAY
