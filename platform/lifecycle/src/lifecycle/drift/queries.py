"""The queries, for any engine that Ibis supports. They return counts, from which all statistics are computed.

Bins are computed only with products with powers of two, comparisons and whole numbers, which are exact. So all engines
return the same counts, and sums that differ at most by rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import ibis
from ibis import _

from lifecycle.core.reference_profile import ColumnProfile
from lifecycle.drift.layout import OUTCOME, REQUEST_ID, ROW, TIME

_SECONDS_PER_HOUR = 3600


def select_window(table: ibis.Table, start: datetime, end: datetime) -> ibis.Table:
    """The rows from `start` to before `end`."""
    return table.filter(_[TIME] >= ibis.timestamp(start), _[TIME] < ibis.timestamp(end))


def describe_times(table: ibis.Table) -> ibis.Table:
    """One row: the number of `rows`, the `earliest` and the `latest` time, the rows with none (`untimed`)."""
    return table.aggregate(rows=_.count(), earliest=_[TIME].min(), latest=_[TIME].max(), untimed=_[TIME].isnull().sum())


def count_bins(table: ibis.Table, profiles: Mapping[str, ColumnProfile]) -> ibis.Table:
    """Rows by column, season and bin of its profile.

    Columns: `column` (its place in `profiles`), `season`, `bin` (null if there is no value), `rows`, and `total`, the
    sum of numeric values. If a total is not finite, a value is not finite.
    """
    parts = [_count_column(table, name, profile, place) for place, (name, profile) in enumerate(profiles.items())]
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def count_correct(predictions: ibis.Table, output: str, outcomes: ibis.Table, tolerance: float) -> ibis.Table:
    """One row: how predictions compare with outcomes, which are joined by request ID and row.

    rows     predictions with an outcome; of several outcomes, the one with the latest time counts
    correct  of them, those that are equal to their outcome
    early    of them, those whose outcome is more than `tolerance` seconds older than the prediction
    reused   predictions that share request ID and row with another one, and are left out
    """
    key = (REQUEST_ID, ROW)
    single = predictions.group_by(key).aggregate(made=_[TIME].min(), value=_[output].min(), times=_.count())
    known = outcomes.group_by(key).aggregate(known=_[TIME].max(), truth=_[OUTCOME].argmax(_[TIME]))
    joined = single.left_join(known, key)
    compared = (_.times == 1) & _.truth.notnull()
    seconds = _.made.epoch_seconds() - _.known.epoch_seconds()
    return joined.aggregate(
        rows=compared.sum().coalesce(0),
        correct=(compared & (_.value == _.truth)).sum().coalesce(0),
        early=(compared & (seconds > tolerance)).sum().coalesce(0),
        reused=ibis.ifelse(_.times > 1, _.times, 0).sum().coalesce(0),
    )


def _count_column(table: ibis.Table, name: str, profile: ColumnProfile, place: int) -> ibis.Table:
    value = table[name]
    is_number = not profile.is_text
    selected = table.select(
        season=_season(table, profile.seasons),
        bin=_bin(value, profile),
        value=value if is_number else ibis.null("float64"),
    )
    counted = selected.group_by("season", "bin").aggregate(rows=_.count(), total=_["value"].sum())
    return counted.select(column=ibis.literal(place, "int32"), season=_.season, bin=_.bin, rows=_.rows, total=_.total)


def _season(table: ibis.Table, seasons: int) -> ibis.Value:
    if seasons == 1:
        return ibis.literal(0, "int32")
    hours = (table[TIME].epoch_seconds() / _SECONDS_PER_HOUR).floor()
    return (hours % seasons).cast("int32")


def _bin(value: ibis.Value, profile: ColumnProfile) -> ibis.Value:
    """Null if there is no value, which must be explicit: `least` and `greatest` ignore nulls."""
    if profile.kind == "category":
        branches = [(value == category, number) for number, category in enumerate(profile.categories)]
        return ibis.cases((value.isnull(), ibis.null("int32")), *branches, else_=profile.bins - 1).cast("int32")
    # Bound before the cast: whole numbers have fewer values than floating ones.
    below, above = profile.first - 1, profile.first + profile.bins - 2
    bounded = ibis.greatest(ibis.least(value * profile.scale, float(above)), float(below))
    place = (bounded.floor().cast("int32") - below).cast("int32")
    return ibis.ifelse(value.isnull(), ibis.null("int32"), place)
