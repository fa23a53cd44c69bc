"""Times of the day and of the week, in minutes."""

from __future__ import annotations

DAY = 24 * 60
WEEK = 7 * DAY


def count_minutes(time: str) -> int:
    """The minutes of a time such as `22:30`, since midnight. Raises ValueError if it has another form."""
    hours, _, minutes = time.partition(":")
    return 60 * int(hours) + int(minutes)
