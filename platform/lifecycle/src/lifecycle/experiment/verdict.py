"""What to do according to an experiment's figures. A verdict is a function of the figures: it has no side effects.

promote      the challenger is better, perhaps by the minimum effect, and no guardrail is in doubt
stop         it is worse, or better by less than the minimum effect, or harms a guardrail, or the time is over
continue     none of that is known yet
no decision  the figures must not be used, or there are too few: users do not fit the shares, too few windows have
             closed

Verdicts rely on confidence sequences, so they may be computed every minute, and the first `promote` or `stop` may be
acted on. If variants are equal, at most the share level / 2 of challengers is ever promoted. All guardrails together
stop at most the same share of challengers whose harm is within the tolerances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.core.names import Action
from lifecycle.experiment.comparison import Comparison, RatioCheck
from lifecycle.experiment.measures import OUTCOME
from lifecycle.gitops.criteria import Criteria


@dataclass(frozen=True)
class Verdict:
    """An action and its reasons, each of which is one sentence."""

    action: Action
    reasons: Sequence[str]


def decide(criteria: Criteria, days: float, checks: Sequence[RatioCheck], comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict.

    days         since the experiment's first prediction
    comparisons  the one that decides, then the guardrails
    """
    outcome, *guardrails = comparisons
    if mismatches := [_explain_mismatch(check) for check in checks if check.is_mismatch]:
        return Verdict(Action.NO_DECISION, mismatches)
    if harm := [_explain_harm(each) for each in guardrails if _is_harmed(each, criteria.minimum_users)]:
        return Verdict(Action.STOP, harm)
    if doubt := _find_doubt(outcome, criteria.minimum_users):
        return Verdict(Action.NO_DECISION, [doubt])
    return _weigh(criteria, days, outcome, guardrails)


def _weigh(criteria: Criteria, days: float, outcome: Comparison, guardrails: Sequence[Comparison]) -> Verdict:
    low, high = outcome.improvement_range or (-math.inf, math.inf)
    if high < 0:
        return Verdict(Action.STOP, [f"The challenger is worse: {_describe(outcome)}."])
    if high < outcome.measure.threshold:
        return Verdict(Action.STOP, [f"The challenger is not better by the minimum effect: {_describe(outcome)}."])
    doubts = [_explain_doubt(each, criteria.minimum_users) for each in guardrails]
    reasons = [doubt for doubt in doubts if doubt]
    if low <= 0:
        reasons.insert(0, f"The difference is not decided yet: {_describe(outcome)}.")
    if not reasons:
        return Verdict(Action.PROMOTE, [f"The challenger is better: {_describe(outcome)}."])
    if days >= criteria.maximum_days:
        over = f"The experiment has run for {days:.1f} days, of {criteria.maximum_days:g} at most: the champion stays."
        return Verdict(Action.STOP, [over, *reasons])
    return Verdict(Action.CONTINUE, reasons)


def _find_doubt(comparison: Comparison, minimum: int) -> str:
    """Why nothing may be concluded from a comparison; empty if something may."""
    name = comparison.measure.name
    if min(comparison.users) < minimum:
        return (
            f"Too few users have {name} and a closed window: {comparison.users[0]} of the challenger, "
            f"{comparison.users[1]} of the champion, of {minimum} at least."
        )
    if comparison.any_time is None:
        return f"All users have the same {name}, or one beyond any scale: there is nothing to compare."
    return ""


def _is_harmed(guardrail: Comparison, minimum: int) -> bool:
    _, high = guardrail.improvement_range or (0.0, 0.0)
    return not _find_doubt(guardrail, minimum) and high < -guardrail.measure.threshold


def _explain_doubt(guardrail: Comparison, minimum: int) -> str:
    """Why a guardrail keeps a challenger from being promoted; empty if it does not."""
    if doubt := _find_doubt(guardrail, minimum):
        return f"The guardrail {guardrail.measure.name} is not known. {doubt}"
    improvement = guardrail.improvement
    if improvement is not None and improvement < -guardrail.measure.threshold:
        return f"The guardrail {guardrail.measure.name} may be harmed: {_describe(guardrail)}."
    return ""


def _explain_mismatch(check: RatioCheck) -> str:
    remedy = (
        "Find out which users are missing before any figure is believed"
        if check.subject == "users"
        else "Report an outcome for every prediction, of both variants, even if it is 0"
    )
    champion = check.challenger + check.champion - check.expected
    return (
        f"Sample ratio mismatch of {check.subject}: {check.challenger} of the challenger and {check.champion} of the "
        f"champion, where {check.expected:.0f} and {champion:.0f} are expected. {remedy}."
    )


def _explain_harm(guardrail: Comparison) -> str:
    return f"The challenger harms the guardrail {guardrail.measure.name}: {_describe(guardrail)}."


def _describe(comparison: Comparison) -> str:
    """The difference, in words."""
    measure, interval = comparison.measure, comparison.any_time
    if interval is None or comparison.means is None:
        return f"no difference of {measure.name} is known"
    difference = comparison.means[0] - comparison.means[1]
    format_ = format_ratio if measure.is_ratio else format_difference
    rule = "worth a change from" if measure.role == OUTCOME else "tolerated up to"
    sign = -1 if measure.is_lower_better == (measure.role == OUTCOME) else 1
    return (
        f"{measure.name} differs by {format_(difference)}, between {format_(interval.low)} and "
        f"{format_(interval.high)}, {rule} {format_(sign * measure.threshold)}"
    )


def format_ratio(logarithm: float) -> str:
    """As a percentage: +10.0 % for a ratio of 1.1."""
    return f"{100 * math.expm1(min(logarithm, 700.0)):+.3g} %"


def format_difference(value: float) -> str:
    return f"{value:+.4g}"
