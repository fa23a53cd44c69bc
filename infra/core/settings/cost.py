"""The section of what a stack may cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from infra.core.settings.sections import Section
from infra.core.settings.values import Unit, WholeNumber


class CostSettings(Section):
    """What the stack may cost: who pays is told, and nothing is stopped."""

    monthly_budget: Annotated[WholeNumber, Unit("units of the account's currency")] = Field(
        0,
        ge=0,
        le=10_000_000,
        examples=[5000],
        description="budget of a month, on Azure in the currency of the bill, on AWS in US dollars: "
        "`telemetry.alertEmail` gets a message at 80 % of it, and when it is forecast to be exceeded; 0 for none",
    )
