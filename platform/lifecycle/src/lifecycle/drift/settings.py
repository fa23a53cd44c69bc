"""Settings of the analysis of drift."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.core.event_sink import check_sink
from lifecycle.core.settings import SECRETS_DIR


class StoreSettings(BaseSettings):
    """Where the inference log is; from `DRIFT_*`."""

    model_config = SettingsConfigDict(env_prefix="DRIFT_", extra="ignore")

    store: str = Field(
        min_length=1,
        description="the artifact store with inference log, outcomes and reports: a folder, s3://bucket/path, or "
        "wasbs://container@account.../path",
    )
    clock_tolerance: float = Field(
        300, ge=0, description="seconds by which clocks may differ; later than that, a time is in the future"
    )


class CollectorSettings(StoreSettings):
    """How events get from serving into the store; from `DRIFT_*`."""

    collect_folder: Path = Field(
        Path("collected"), description="the folder in which events wait for the store; on a disk of its own size"
    )
    collect_interval: float = Field(
        300, gt=0, le=3600, description="seconds between two writes to the store, each of one file per model version"
    )
    collect_max_bytes: int = Field(
        64 << 20,
        ge=1 << 20,
        description="bytes of events that wait, beyond which new ones are refused; writing them takes some 25 times "
        "as much memory",
    )
    collect_max_body_bytes: int = Field(16 << 20, ge=1 << 10, description="maximum size of a request's body, in bytes")


class DriftSettings(StoreSettings):
    """What is compared, and what counts as drift; from `DRIFT_*`, or files in PROMOTION_SECRETS_DIR."""

    model_config = SettingsConfigDict(env_prefix="DRIFT_", secrets_dir=SECRETS_DIR, extra="ignore")

    window_hours: float = Field(
        24,
        gt=1 / 60,
        le=24 * 92,
        description="hours of the window that is analysed; it ends with the last full hour, one of less than an hour "
        "with the last full minute",
    )
    min_rows: int = Field(500, ge=100, description="rows of a window below which the analysis is inconclusive")
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
        "", description="where queries run on Spark: `spark://...`, `k8s://...`, `local[2]`; in this process if unset"
    )
    event_sink: str = Field(
        "", description="where events of drift go: `http(s)://...` or `file:///...`; nowhere if unset"
    )
    event_token: SecretStr | None = Field(
        None, min_length=16, description="the bearer token that the receiver of events asks for; none if unset"
    )

    @field_validator("event_sink")
    @classmethod
    def _check_sink(cls, sink: str) -> str:
        return check_sink(sink)
