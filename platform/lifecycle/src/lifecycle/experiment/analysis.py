"""Analyses an experiment: from the store's records to figures and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lifecycle.core import LifecycleError
from lifecycle.experiment import covariate
from lifecycle.experiment.comparison import Comparison, RatioCheck, check_ratios, compare
from lifecycle.experiment.covariate import Covariate, Observation
from lifecycle.experiment.measures import OUTCOME, Measure, find_measures
from lifecycle.experiment.records import Prediction, Result
from lifecycle.experiment.users import Aggregation, Users, aggregate
from lifecycle.experiment.verdict import Verdict, decide
from lifecycle.gitops.criteria import Criteria
from lifecycle.gitops.experiments import DAY, Definitions, Experiment

_MAX_LOOKS = 60  # in the report's history


class AnalysisError(LifecycleError):
    """The experiment cannot be analysed."""


@dataclass(frozen=True)
class Look:
    """What an analysis at a time, in seconds since 1970, would have found about the outcome that decides.

    users  the numbers of users with a value, of challenger and champion
    """

    time: float
    users: tuple[int, int]
    improvement: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Findings:
    """The results from all users' values.

    closed       users whose window has closed: the others do not count yet
    started      the first prediction, in seconds since 1970; None if there is none
    comparisons  the outcome that decides, then the guardrails
    """

    users: int
    closed: int
    started: float | None
    checks: Sequence[RatioCheck]
    comparisons: Sequence[Comparison]
    verdict: Verdict


@dataclass(frozen=True)
class Analysis:
    """An experiment's figures at a time, in seconds since 1970."""

    experiment: Experiment
    criteria: Criteria
    until: float
    findings: Findings
    history: Sequence[Look]
    aggregation: Aggregation
    covariate: Covariate | None


def find_experiment(definitions: Definitions, name: str, source: str) -> tuple[Experiment, Criteria]:
    """An experiment that can be analysed. Raises AnalysisError."""
    experiment = definitions.by_name.get(name)
    if experiment is None:
        known = ", ".join(definitions.by_name) or "none"
        raise AnalysisError(f"{source} has no experiment {name!r}; known experiments: {known}")
    if experiment.criteria is None:
        raise AnalysisError(f"The experiment {name} has no criteria: add them to its entry in {source}")
    return experiment, experiment.criteria


def analyse(
    results: Iterable[Result],
    experiment: Experiment,
    criteria: Criteria,
    until: float,
    observations: Sequence[Observation] | None = None,
    since: float = -math.inf,
) -> Analysis:
    """Analyse the records until a time, in seconds since 1970.

    observations  of a covariate
    since         earlier predictions do not count, such as those without a challenger, or with an earlier one
    """
    measures = find_measures(experiment, criteria)
    results = (each for each in results if not isinstance(each, Prediction) or each.time >= since)
    aggregation = aggregate(results, experiment, measures, until)
    users = aggregation.users
    known_before = None if observations is None else covariate.match(users, observations)
    if known_before is not None:
        users = replace(users, covariate=known_before.values)
    findings = evaluate(users, measures, criteria, until)
    return Analysis(
        experiment,
        criteria,
        until,
        findings,
        list(_look_back(users, measures, criteria, until)),
        aggregation,
        known_before,
    )


def evaluate(users: Users, measures: Sequence[Measure], criteria: Criteria, until: float) -> Findings:
    """Figures and verdict for users, all of whom have entered before `until`."""
    closed = users.select(users.closed <= until)
    started = float(users.first.min()) if len(users) else None
    checks = check_ratios(users, closed, measures)
    comparisons = [_compare(each, closed, criteria) for each in measures]
    days = 0.0 if started is None else (until - started) / DAY
    return Findings(len(users), len(closed), started, checks, comparisons, decide(criteria, days, checks, comparisons))


def _compare(measure: Measure, closed: Users, criteria: Criteria) -> Comparison:
    """Guardrails share the level, so that it holds for all together. A covariate applies only to the outcome."""
    if measure.role == OUTCOME:
        return compare(measure, closed, criteria.level, closed.covariate)
    return compare(measure, closed, criteria.level / len(criteria.guardrails))


def _look_back(users: Users, measures: Sequence[Measure], criteria: Criteria, until: float) -> Iterator[Look]:
    """Looks at equal intervals since the first user's window closed."""
    if not len(users) or users.closed.min() > until:
        return
    for time in np.linspace(users.closed.min(), until, _MAX_LOOKS):
        found = _compare(measures[0], users.select(users.closed <= time), criteria)
        low, high = found.improvement_range or (None, None)
        yield Look(float(time), found.users, found.improvement, low, high)
