"""What the promotion is told by its environment; its secrets may be files."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRETS = os.environ.get("PROMOTION_SECRETS_DIR")


class NotifySettings(BaseSettings):
    """Read from NOTIFY_*, or from files of these names; without an address nobody is told.

    slack_url  a Slack-compatible incoming webhook
    url        gets the same as plain JSON
    patience   seconds for one message
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFY_", secrets_dir=_SECRETS, extra="ignore")

    slack_url: SecretStr | None = None
    url: SecretStr | None = None
    patience: Annotated[float, Field(gt=0)] = 5.0


class RegistrySettings(BaseSettings):
    """Where MLflow is; its own variable, so that it stands once."""

    model_config = SettingsConfigDict(extra="ignore")

    mlflow_tracking_uri: str


class ReceiverSettings(BaseSettings):
    """Read from PROMOTION_*, or from files of these names in the folder PROMOTION_SECRETS_DIR.

    webhook_secret     what MLflow signs with, the secret of its webhook
    inbox              `sqlite:///<path>` or `postgresql://...`
    window             seconds by which a delivery's time may be off; the tolerance that the specification suggests that
                       MLflow follows (https://www.standardwebhooks.com), wider than MLflow's own retries take
    largest_body       bytes; an alias event is of some 300
    """

    model_config = SettingsConfigDict(env_prefix="PROMOTION_", secrets_dir=_SECRETS, extra="ignore")

    webhook_secret: Annotated[SecretStr, Field(min_length=16)]
    inbox: SecretStr = SecretStr("sqlite:///promotion.db")
    window: Annotated[float, Field(gt=0)] = 300.0
    largest_body: Annotated[int, Field(gt=0)] = 64 * 1024


class WorkerSettings(BaseSettings):
    """Read from PROMOTION_* like the receiver's.

    at_once      events examined at the same time; each takes a thread, and a gate's memory
    poll         seconds between looks into the inbox
    pause        seconds before a failed event is tried again; doubled each time, up to longest_pause
    stuck_after  attempts after which people are told that an event does not get through
    """

    model_config = SettingsConfigDict(env_prefix="PROMOTION_", secrets_dir=_SECRETS, extra="ignore")

    inbox: SecretStr = SecretStr("sqlite:///promotion.db")
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    poll: Annotated[float, Field(gt=0)] = 0.1
    pause: Annotated[float, Field(gt=0)] = 1.0
    longest_pause: Annotated[float, Field(gt=0)] = 60.0
    stuck_after: Annotated[int, Field(ge=1)] = 5
