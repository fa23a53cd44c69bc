"""Settings of the service that starts training runs, and of the commands that request them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lifecycle.core.settings import SECRETS_DIR

_CONFIG = SettingsConfigDict(env_prefix="RETRAINING_", secrets_dir=SECRETS_DIR, extra="ignore")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?")
_RESULT_RETENTION = timedelta(days=7)  # longer than any outage of this service, which still has to read the result

Names = Annotated[tuple[str, ...], NoDecode]


class ScheduleSettings(BaseSettings):
    """The service's address; from `RETRAINING_*`, the token also from a file of this name in PROMOTION_SECRETS_DIR."""

    model_config = _CONFIG

    url: str = Field("http://127.0.0.1:8080", pattern="^https?://.+$", description="the service's address")
    token: SecretStr = Field(min_length=16, description="the bearer token with which clients request a run")


class RetrainingSettings(BaseSettings):
    """What is retrained, how often and where; from `RETRAINING_*`, the token as above."""

    model_config = _CONFIG

    token: SecretStr = Field(min_length=16, description="the bearer token with which clients request a run")
    models: Names = Field(min_length=1, description="the registered models that may be retrained, separated by commas")
    scheduled: Names = Field((), description="the models of these that the schedule retrains, separated by commas")
    alerts: Names = Field(
        ("ModelDrifted", "ModelAccuracyDropped"),
        description="the alerts that start a run of the model in their label `model`, separated by commas",
    )
    # Below a day, so that a run of the nightly schedule does not keep the next one from starting a few seconds early.
    cool_down_hours: float = Field(
        20, ge=0, le=24 * 30, description="hours after the start of a model's run in which no other run starts"
    )
    template: Path = Field(description="the file with the manifest of a run's Job, in JSON or YAML")
    namespace: str = Field("training", min_length=1, description="the namespace of the Jobs")
    stack: str = Field(min_length=1, description="the stack's name, for notices")
    run_url: str = Field(
        "",
        pattern=r"^(https?://.*\{run\}.*)?$",
        description="MLflow's page of the run {run}, for notices; none if unset",
    )
    poll_interval: float = Field(10.0, gt=0, le=120, description="seconds between two checks of the Jobs")
    max_body_bytes: int = Field(1 << 20, ge=1 << 10, description="maximum size of a request's body, in bytes")
    api_server: str = Field("https://kubernetes.default.svc", pattern="^https://.+$", description="the API server")
    api_credentials: Path = Field(
        Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="the folder with `token` and `ca.crt` of the service account",
    )

    @property
    def cool_down(self) -> timedelta:
        return timedelta(hours=self.cool_down_hours)

    @property
    def job_retention(self) -> timedelta:
        """How long a finished Job is kept: the cool-down is read from it."""
        return _RESULT_RETENTION + self.cool_down

    @field_validator("models", "scheduled", "alerts", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return tuple(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names

    @field_validator("models")
    @classmethod
    def _check_models(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        invalid = [name for name in names if not is_trainable(name)]
        if invalid:
            raise ValueError(
                f"'{', '.join(invalid)}' cannot be in the name of a Job: use at most 42 lower-case letters, digits and "
                "hyphens, starting with a letter"
            )
        return names

    @model_validator(mode="after")
    def _check_scheduled(self) -> Self:
        unknown = sorted(set(self.scheduled) - set(self.models))
        if unknown:
            raise ValueError(
                f"RETRAINING_SCHEDULED has {', '.join(unknown)}, which RETRAINING_MODELS lacks: add it there"
            )
        return self


def is_trainable(name: str) -> bool:
    """Whether training accepts the model's name: TRAINING_MODEL has the same rule."""
    return bool(_NAME.fullmatch(name))
