"""Settings of the drift analysis and of the collector."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.core.event_sink import check_sink
from lifecycle.core.settings import SECRETS_DIR


class StoreSettings(BaseSettings):
    """Where the inference log is stored; from `DRIFT_*`."""

    model_config = SettingsConfigDict(env_prefix="DRIFT_", extra="ignore")

    store: str = Field(
        min_length=1,
        description="the artifact store with inference log, outcomes and reports: a folder, s3://bucket/path, or "
        "wasbs://container@account.../path",
    )
    clock_tolerance: float = Field(
        300, ge=0, description="seconds by which clocks may differ; a time later than that is in the future"
    )


class CollectorSettings(StoreSettings):
    """How events are moved from serving to the store; from `DRIFT_*`."""

    collect_folder: Path = Field(
        Path("collected"), description="the folder in which events wait for the store; its disk needs room for them"
    )
    collect_interval: float = Field(
        300, gt=0, le=3600, description="seconds between two writes to the store, each of one file per model version"
    )
    collect_max_bytes: int = Field(
        64 << 20,
        ge=1 << 20,
        description="maximum bytes of waiting events, beyond which new ones are refused; writing them takes about 25 "
        "times as much memory",
    )
    collect_max_body_bytes: int = Field(16 << 20, ge=1 << 10, description="maximum size of a request's body, in bytes")


class DriftSettings(StoreSettings):
    """What is compared, and what counts as drift; from `DRIFT_*`, or files in PROMOTION_SECRETS_DIR."""

    model_config = SettingsConfigDict(env_prefix="DRIFT_", secrets_dir=SECRETS_DIR, extra="ignore")

    window_hours: float = Field(
        24,
        gt=1 / 60,
        le=24 * 92,
        description="hours of the analysed window; it ends with the last full hour, or with the last full minute if it "
        "is shorter than an hour",
    )
    min_rows: int = Field(500, ge=100, description="minimum rows of a window; with fewer, the analysis is inconclusive")
    false_alarm_rate: float = Field(
        1e-4,
        gt=0,
        le=0.05,
        description="maximum probability that a window without any drift raises an alarm, over all columns",
    )
    min_psi: float = Field(
        0.1, ge=0, description="population stability index below which a significant difference is not drift"
    )
    min_accuracy_drop: float = Field(
        0.02, ge=0, le=1, description="how far below the reference a significantly lower accuracy is drift"
    )
    spark_master: str = Field(
        "", description="Spark's address: `spark://...`, `k8s://...`, `local[2]`; queries run in this process if unset"
    )
    event_sink: str = Field(
        "", description="where events of drift are sent: `http(s)://...` or `file:///...`; nowhere if unset"
    )
    event_token: SecretStr | None = Field(
        None, min_length=16, description="the bearer token that the receiver of events requires; none if unset"
    )

    @field_validator("event_sink")
    @classmethod
    def _check_sink(cls, sink: str) -> str:
        return check_sink(sink)
