"""The gate's thresholds."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GateSettings(BaseSettings):
    """The thresholds that a model must reach; from `GATE_*`."""

    model_config = SettingsConfigDict(env_prefix="GATE_")

    min_accuracy: float = Field(0.9, ge=0, le=1, description="minimum accuracy over all held-out rows")
    min_recall: float = Field(0.85, ge=0, le=1, description="minimum share of malignant held-out rows that are found")
    margin: float = Field(
        0.02,
        ge=0,
        le=1,
        description="how far below the champion accuracy and recall may be, over all rows and on each slice",
    )
