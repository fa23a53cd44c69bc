"""The settings of continuous training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from infra.core.settings.sections import Section
from infra.core.settings.values import ModelName, Unit, WholeNumber

Hours = Annotated[WholeNumber, Unit("hours")]


class RetrainingSettings(Section):
    """Continuous training: models that are retrained on new data, on drift, and on a schedule."""

    models: tuple[ModelName, ...] = Field(
        (),
        examples=[["breast-cancer", "churn"]],
        description="registered models that are retrained on new data and on drift, each on the file `<model>.csv` in "
        "the folder `data` of the artifact store; if empty, no models are retrained",
    )
    scheduled: tuple[ModelName, ...] = Field(
        (),
        examples=[["churn"]],
        description="models of `retraining.models` that are also retrained each night at 02:00 UTC",
    )
    # Less than a day, so that a nightly run does not block the next one if that starts a few seconds early.
    cool_down_hours: Hours = Field(
        20,
        ge=0,
        le=720,
        examples=[44],
        description="time after the start of a model's training during which no other one starts, unless it is forced; "
        "more than 24 skips nights of the schedule",
    )
