"""What the promotion is told by its environment; its secrets may be files."""

from __future__ import annotations

import os
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.contract import LifecycleError

_SECRETS = os.environ.get("PROMOTION_SECRETS_DIR")

S = TypeVar("S", bound=BaseSettings)


def read(kind: type[S]) -> S:
    """What the environment says. Raises LifecycleError naming variable, value (no secret's), rule and remedy."""
    try:
        return kind()
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise LifecycleError("\n".join(dict.fromkeys(_words(kind, fault) for fault in faults))) from None


def _words(kind: type[BaseSettings], fault: Any) -> str:
    rule = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return str(rule)
    name = str(fault["loc"][0])
    variable = f"{kind.model_config.get('env_prefix', '')}{name}".upper()
    if fault["type"] == "missing":
        return f"{variable} is not set, and there is no default for it: set it"
    secret = "SecretStr" in str(kind.model_fields[name].annotation)
    value = "set" if secret else repr(fault["input"])
    return f"{variable} is {value}: {rule[:1].lower()}{rule[1:]}; set it so, or unset it if it has a default"


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
    """Where MLflow is; its own variable, so that it stands once.

    mlflow_tracking_uri  the MLflow server that has the registry
    """

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

    inbox        the receiver's
    at_once      versions at the gate at the same time; each takes a gate's memory
    poll         seconds between looks into the inbox
    pause        seconds before a failed event is tried again; doubled each time
    longest_pause  seconds up to which it is doubled
    stuck_after  attempts after which people are told that an event does not get through
    """

    model_config = SettingsConfigDict(env_prefix="PROMOTION_", secrets_dir=_SECRETS, extra="ignore")

    inbox: SecretStr = SecretStr("sqlite:///promotion.db")
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    poll: Annotated[float, Field(gt=0)] = 0.1
    pause: Annotated[float, Field(gt=0)] = 1.0
    longest_pause: Annotated[float, Field(gt=0)] = 60.0
    stuck_after: Annotated[int, Field(ge=1)] = 5
