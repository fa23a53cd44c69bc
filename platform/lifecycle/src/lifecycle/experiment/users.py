"""The users of an experiment: one row for each, with the values that are compared.

The variant and the challenger's share at the first prediction decide the stratum of a user. A user's record counts if
its time is

- within the experiment's user window from the first prediction, so that early and late users are compared on equal
  terms;
- before the user's first prediction with another share, after which the variant may be another one. Shares change for
  all users at once, so that affects both variants alike.

Clients' clocks are not used, and differences between routers' clocks shift both variants' times alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifecycle.core import CHALLENGER
from lifecycle.experiment.measures import Measure, measure
from lifecycle.experiment.records import Prediction, Result
from lifecycle.experiment.results import Join, Joined, join
from lifecycle.gitops.experiments import Experiment

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Users:
    """Arrays of one length, in no order.

    names          pseudonyms
    share          the challenger's, in hundredths of a percent, when the user entered
    is_challenger  the assigned variant
    first, closed  seconds since 1970: the first prediction, and the end of the user's window
    values         by measure; NaN if nothing is known about a user
    covariate      a user's value from before the experiment, NaN if there is none; None without a covariate
    """

    names: Sequence[str]
    share: NDArray[np.int64]
    is_challenger: Mask
    first: Floats
    closed: Floats
    values: Mapping[str, Floats]
    covariate: Floats | None = None

    def __len__(self) -> int:
        return len(self.share)

    def select(self, mask: Mask) -> Users:
        """The users that the mask selects."""
        names = [name for name, is_selected in zip(self.names, mask, strict=True) if is_selected] if self.names else ()
        values = {name: array[mask] for name, array in self.values.items()}
        first, closed = self.first[mask], self.closed[mask]
        covariate = None if self.covariate is None else self.covariate[mask]
        return Users(names, self.share[mask], self.is_challenger[mask], first, closed, values, covariate)


@dataclass(frozen=True)
class Aggregation:
    """Users, and the numbers of records that did not count.

    join                the counts that the command `results` prints
    later_predictions   after the time of the analysis, which may be in the past, or if a router's clock is ahead
    other_predictions   after a user's window, or with another share or variant than the user's first one
    """

    users: Users
    join: Join
    later_predictions: int
    other_predictions: int


def aggregate(
    results: Iterable[Result], experiment: Experiment, measures: Sequence[Measure], until: float
) -> Aggregation:
    """The users until a time, in seconds since 1970."""
    known: list[Result] = []
    later = 0
    for result in results:
        if result.time <= until:
            known.append(result)
        else:
            later += isinstance(result, Prediction)
    joined = join(known, experiment.outcome_window)
    by_user: dict[str, list[Joined]] = {}
    for row in joined.rows:  # ordered by time
        by_user.setdefault(row.prediction.user, []).append(row)
    kept = {user: _keep(rows, experiment.user_window) for user, rows in by_user.items()}
    others = len(joined.rows) - sum(map(len, kept.values()))
    return Aggregation(_tabulate(kept, measures, experiment.user_window), joined, later, others)


def _keep(rows: Sequence[Joined], window: float) -> list[Joined]:
    """A user's predictions that count."""
    first = rows[0].prediction
    kept: list[Joined] = []
    for row in rows:
        prediction = row.prediction
        if prediction.time - first.time > window:
            break
        if (prediction.share, prediction.variant) != (first.share, first.variant):
            break
        kept.append(row)
    return kept


def _tabulate(by_user: Mapping[str, Sequence[Joined]], measures: Sequence[Measure], window: float) -> Users:
    firsts = [rows[0].prediction for rows in by_user.values()]
    times = np.array([prediction.time for prediction in firsts], dtype=float)
    closed = times + window
    values = {
        each.name: np.array(
            [measure(rows, each, end) for rows, end in zip(by_user.values(), closed, strict=True)], dtype=float
        )
        for each in measures
    }
    return Users(
        list(by_user),
        np.array([prediction.share for prediction in firsts], dtype=np.int64),
        np.array([prediction.variant == CHALLENGER for prediction in firsts], dtype=bool),
        times,
        closed,
        values,
    )
