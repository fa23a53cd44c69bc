"""The criteria that decide an experiment, from its entry in the experiments file; the values below are the defaults.

    criteria:
      outcome: converted        # the measure that decides: one of the experiment's outcomes, or latency
      better: higher            # or lower
      minimum_effect: 0.01      # the improvement that is worth a change: a difference of means; for latency, a share
      level: 0.05               # the probability that equal variants ever seem to differ
      power: 0.8                # which `plan` assumes
      minimum_users: 100        # per variant, with a closed measure; fewer never decide
      maximum_days: 28          # since the first prediction; then the champion stays
      guardrails:               # measures that must not get worse by more than the tolerance
        - {outcome: latency, tolerance: 0.1}     # a share: 10 % slower
        - {outcome: errors, tolerance: 0.01}     # a difference of means: one request in a hundred more
        - {outcome: fallbacks, tolerance: 0.05}

Three measures need no outcome. latency: seconds from a request's arrival to its response. errors: responses with a
status 5xx. fallbacks: requests that the champion answered for the challenger; without this guardrail, a challenger that
never answers would be as good as the champion.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LATENCY, ERRORS, FALLBACKS = "latency", "errors", "fallbacks"
BUILT_IN = (LATENCY, ERRORS, FALLBACKS)

Better = Literal["higher", "lower"]


class _Compared(BaseModel):
    """A measure that is compared, and the direction that is better."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: str
    better: Better | None = None
    """Defaults to `higher`, and for built-in measures to `lower`."""

    @model_validator(mode="after")
    def _check_better(self) -> Self:
        if self.outcome in BUILT_IN and self.better == "higher":
            raise ValueError(f"`better: higher` is not valid for {self.outcome}; remove `better`")
        return self

    @property
    def is_lower_better(self) -> bool:
        return self.outcome in BUILT_IN or self.better == "lower"


class Guardrail(_Compared):
    """A measure that must not get worse."""

    tolerance: float = Field(ge=0, allow_inf_nan=False)


class Criteria(_Compared):
    """The module's docstring explains the fields."""

    minimum_effect: float = Field(gt=0, allow_inf_nan=False)
    level: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    power: Annotated[float, Field(ge=0.5, le=0.99)] = 0.8
    minimum_users: Annotated[int, Field(ge=100)] = 100
    maximum_days: Annotated[float, Field(gt=0, le=366, allow_inf_nan=False)] = 28
    guardrails: tuple[Guardrail, ...] = (
        Guardrail(outcome=LATENCY, tolerance=0.1),
        Guardrail(outcome=ERRORS, tolerance=0.01),
        Guardrail(outcome=FALLBACKS, tolerance=0.05),
    )

    @model_validator(mode="after")
    def _check_outcomes(self) -> Self:
        if self.outcome in (ERRORS, FALLBACKS):
            raise ValueError(f"{self.outcome} cannot decide, because they can only get worse; make it a guardrail")
        if self.outcome == LATENCY and self.minimum_effect >= 1:
            raise ValueError("the minimum effect on latency is a share below 1: 0.05 is 5 % faster")
        names = [guardrail.outcome for guardrail in self.guardrails]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the guardrail {', '.join(duplicates)} appears more than once; keep one")
        if self.outcome in names:
            raise ValueError(f"{self.outcome} decides, so it cannot also be a guardrail: remove it from `guardrails`")
        return self
