"""The settings of models in production use: how long experiments and inferences are kept."""

from __future__ import annotations

from pydantic import Field

from infra.core.settings.sections import Days, Section


class ExperimentsSettings(Section):
    """Experiments, which compare a model's challenger with its champion on live requests."""

    retention_days: Days = Field(
        ge=30,
        le=3650,
        examples=[180],
        description="how long assignments, predictions and outcomes of experiments are kept",
    )


class DriftSettings(Section):
    """The inference log, and the drift reports that are computed from it."""

    retention_days: Days = Field(
        ge=7, le=3650, examples=[60], description="how long inferences, outcomes and drift reports are kept"
    )
