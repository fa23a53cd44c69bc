"""Settings of the receiver and the worker."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.core.settings import SECRETS_DIR

_CONFIG = SettingsConfigDict(env_prefix="PROMOTION_", secrets_dir=SECRETS_DIR, extra="ignore")
_INBOX = SecretStr("sqlite:///promotion.db")


class ReceiverSettings(BaseSettings):
    """From `PROMOTION_*`, or from files of these names in the folder PROMOTION_SECRETS_DIR."""

    model_config = _CONFIG

    webhook_secret: SecretStr = Field(min_length=16, description="the secret with which MLflow's webhook signs")
    inbox: SecretStr = Field(_INBOX, description="`sqlite:///<path>` or `postgresql://...`")
    # Suggested by the specification that MLflow follows, and longer than MLflow's retries take.
    timestamp_tolerance: float = Field(
        300.0,
        gt=0,
        description="seconds by which a delivery's timestamp may differ from now (https://www.standardwebhooks.com)",
    )
    max_body_bytes: int = Field(
        64 * 1024, gt=0, description="maximum size of a body; an alias event has some 300 bytes"
    )


class DatabaseSettings(BaseSettings):
    """The settings of the command that creates the inbox's database, from `PROMOTION_*` like the receiver's."""

    model_config = _CONFIG

    inbox: SecretStr = Field(description="the receiver's inbox: `postgresql://<login>:<password>@<host>/<database>`")
    administrator: SecretStr = Field(description="the same with the login and database of the server's administrator")


class DispatchSettings(BaseSettings):
    """The workflow of a forge that promotes instead of the worker; each challenger is dispatched to it.

    From `PROMOTION_DISPATCH_*`, the token also from a file of this name in PROMOTION_SECRETS_DIR.
    """

    model_config = SettingsConfigDict(env_prefix="PROMOTION_DISPATCH_", secrets_dir=SECRETS_DIR, extra="ignore")

    project: str = Field(
        "",
        pattern=r"^([\w.-]+/[\w.-]+)?$",
        description="`owner/name` of the repository whose workflow promotes; if unset, the worker promotes by itself",
    )
    token: SecretStr | None = Field(None, description="a token that may send events to that repository")
    url: str = Field(
        "https://api.github.com", pattern="^https?://.+$", description="REST API of GitHub or a compatible forge"
    )
    timeout: float = Field(10.0, gt=0, description="seconds for one call of the forge")

    @model_validator(mode="after")
    def _require_token(self) -> Self:
        if self.project and self.token is None:
            raise ValueError(
                "PROMOTION_DISPATCH_PROJECT needs PROMOTION_DISPATCH_TOKEN, with which events are sent: set both"
            )
        return self


class WorkerSettings(BaseSettings):
    """From `PROMOTION_*`, like the receiver's."""

    model_config = _CONFIG

    inbox: SecretStr = Field(_INBOX, description="the receiver's inbox")
    gate_concurrency: int = Field(
        4, ge=1, le=64, description="versions that are evaluated at the same time; each needs a gate's memory"
    )
    poll_interval: float = Field(0.1, gt=0, description="seconds between two reads of the inbox")
    retry_delay: float = Field(1.0, gt=0, description="seconds before a failed event is retried; doubled each time")
    max_retry_delay: float = Field(60.0, gt=0, description="seconds up to which the delay is doubled")
    max_attempts: int = Field(
        2000,
        ge=1,
        description="attempts after which an event has failed; with the other defaults, about a day in which MLflow or "
        "the repository does not answer",
    )
    stuck_after: int = Field(5, ge=1, description="attempts after which a notification says that an event is stuck")

    webhook_url: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="the receiver's address, with its path, which the worker keeps registered in MLflow; if unset, "
        "people or timers do that, and search for missed events",
    )
    webhook_secret: SecretStr | None = Field(
        None, min_length=16, description="the receiver's secret; for `webhook_url`"
    )
    reconcile_interval: float = Field(
        300.0, gt=0, description="seconds between two checks of the webhook's registration and of missed events"
    )

    @model_validator(mode="after")
    def _require_secret(self) -> Self:
        if self.webhook_url and self.webhook_secret is None:
            raise ValueError("PROMOTION_WEBHOOK_URL needs PROMOTION_WEBHOOK_SECRET, which MLflow signs with: set both")
        return self
