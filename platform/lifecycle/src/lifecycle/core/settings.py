"""Settings from environment variables, and one message for those that are missing or invalid."""

from __future__ import annotations

import os
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.core.errors import SettingsError

SECRETS_DIR = os.environ.get("PROMOTION_SECRETS_DIR")

S = TypeVar("S", bound=BaseSettings)


class RegistrySettings(BaseSettings):
    """Where the model registry is. MLflow's own variable, so that it is set once."""

    model_config = SettingsConfigDict(extra="ignore")

    mlflow_tracking_uri: Annotated[str, Field(description="the MLflow server with the model registry")]


class EndpointSettings(BaseSettings):
    """Where processes other than the model server answer the kubelet, Prometheus and, for the receiver, MLflow."""

    model_config = SettingsConfigDict(extra="ignore")

    host: str = Field("127.0.0.1", description="the address to listen on; `0.0.0.0` in a pod")
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="the port to listen on; if unset, 8080 for the receiver, and none for the other processes",
    )


class NotificationSettings(BaseSettings):
    """Where notifications are sent, from `NOTIFY_*`, or from files of these names in PROMOTION_SECRETS_DIR."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_", secrets_dir=SECRETS_DIR, extra="ignore")

    slack_url: SecretStr | None = Field(None, description="a Slack-compatible incoming webhook; none if unset")
    url: SecretStr | None = Field(None, description="an address that receives the same as JSON; none if unset")
    timeout: float = Field(5.0, gt=0, description="seconds for one message")


def read_settings(settings: type[S]) -> S:
    """Read settings from the environment.

    Raises SettingsError with one line per problem: variable, value (never a secret's), rule and remedy.
    """
    try:
        return settings()
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise SettingsError("\n".join(dict.fromkeys(_explain(settings, problem) for problem in problems))) from None


def variable_name(settings: type[BaseSettings], name: str) -> str:
    """The environment variable of a field."""
    alias = settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _explain(settings: type[BaseSettings], problem: Any) -> str:
    rule = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(rule)
    name = _field_name(settings, str(problem["loc"][0]))
    variable = variable_name(settings, name)
    if problem["type"] == "missing":
        return f"{variable} is not set and has no default: set it"
    value = "set" if _is_secret(settings.model_fields[name]) else repr(problem["input"])
    return f"{variable} is {value}: {rule[:1].lower()}{rule[1:]}; change it, or unset it if it has a default"


def _field_name(settings: type[BaseSettings], location: str) -> str:
    """Pydantic locates a field by its alias, if it has one."""
    return next(name for name, field in settings.model_fields.items() if location in (name, field.validation_alias))


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)
