"""The section of continuous training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from infra.core.settings.sections import Section
from infra.core.settings.values import ModelName, Unit, WholeNumber

Hours = Annotated[WholeNumber, Unit("hours")]


class RetrainingSettings(Section):
    """Continuous training: models that are trained again on new data, on drift, and by schedule."""

    models: tuple[ModelName, ...] = Field(
        (),
        examples=[["breast-cancer", "churn"]],
        description="registered models that are retrained on new data and on drift, each on the file `<model>.csv` in "
        "the folder `data` of the artifact store; none retrains no models",
    )
    scheduled: tuple[ModelName, ...] = Field(
        (),
        examples=[["churn"]],
        description="those of `retraining.models` that are retrained each night at 02:00 UTC, too",
    )
    # Below a day, so that a run of the nightly schedule does not keep the next one from starting a few seconds early.
    cool_down_hours: Hours = Field(
        20,
        ge=0,
        le=720,
        examples=[44],
        description="time from the start of a model's training in which no other one starts, unless people force it; "
        "more than 24 leaves out nights of the schedule",
    )
