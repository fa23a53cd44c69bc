"""The values that are compared: one number per user, from the user's predictions and their outcomes.

Requests of one user are not independent: a user who converts once is likely to do so again, and a user with a slow
network has slow requests. Variants are assigned by user, so each user counts as one value, regardless of the number of
requests:

binary, continuous  the mean of the user's outcomes; with one binary outcome per user, that is 0 or 1
latency             the mean logarithm of the user's seconds. Its difference is a ratio: 10 % slower is the same at 5 ms
                    and at 500 ms. Seconds have a long tail, in which a few requests would cause most of the variance of
                    a mean; with logarithms, a few hundred users are enough. The rollout's guardrail on p95 watches the
                    tail itself
errors, fallbacks   the share of the user's predictions

Predictions without an outcome do not count in its mean, since 0 would be a guess. If fewer of one variant's users have
an outcome, analysis.py finds a mismatch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.experiment.results import Joined
from lifecycle.gitops.criteria import ERRORS, FALLBACKS, LATENCY, Criteria, Guardrail
from lifecycle.gitops.experiments import Experiment

_SHORTEST = 1e-6  # seconds: shorter times are not measurable, and 0 has no logarithm
OUTCOME, GUARDRAIL = "outcome", "guardrail"


@dataclass(frozen=True)
class Measure:
    """A column of the users' table, and the difference that matters in it.

    kind       binary, continuous, latency, errors or fallbacks
    role       outcome, which decides, or guardrail
    threshold  on the measure's own scale: the minimum improvement that is worth a change, or the tolerated harm
    """

    name: str
    kind: str
    role: str
    is_lower_better: bool
    threshold: float

    @property
    def is_share(self) -> bool:
        """Whether all values are between 0 and 1."""
        return self.kind in ("binary", ERRORS, FALLBACKS)

    @property
    def is_reported(self) -> bool:
        """Whether clients report it; otherwise the router records it."""
        return self.kind in ("binary", "continuous")

    @property
    def is_ratio(self) -> bool:
        """Whether a difference is the logarithm of a ratio."""
        return self.kind == LATENCY


def find_measures(experiment: Experiment, criteria: Criteria) -> list[Measure]:
    """The measures that the criteria name; the one that decides comes first."""
    return [
        _create(experiment, criteria, OUTCOME, criteria.minimum_effect),
        *(_create(experiment, guardrail, GUARDRAIL, guardrail.tolerance) for guardrail in criteria.guardrails),
    ]


def _create(experiment: Experiment, compared: Criteria | Guardrail, role: str, threshold: float) -> Measure:
    kind = experiment.outcomes.get(compared.outcome, compared.outcome)
    if kind == LATENCY:  # 5 % faster is a ratio of 0.95, and 5 % slower is 1.05
        threshold = -math.log1p(-threshold) if role == OUTCOME else math.log1p(threshold)
    return Measure(compared.outcome, kind, role, compared.is_lower_better, threshold)


def measure(rows: Sequence[Joined], what: Measure, closed: float) -> float:
    """A user's value, from at least one prediction and the outcomes until `closed`; NaN if nothing is known."""
    if what.kind == LATENCY:
        values = [math.log(max(row.prediction.seconds, _SHORTEST)) for row in rows]
    elif what.kind == ERRORS:
        values = [float(row.prediction.status >= 500) for row in rows]
    elif what.kind == FALLBACKS:
        values = [float(bool(row.prediction.fallback)) for row in rows]
    else:
        outcomes = (row.outcomes.get(what.name) for row in rows)
        values = [outcome.value for outcome in outcomes if outcome is not None and outcome.time <= closed]
        if what.kind == "binary":  # the definition may have changed since the router accepted other values
            values = [value for value in values if value in (0, 1)]
    return sum(values) / len(values) if values else math.nan
