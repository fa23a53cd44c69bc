"""What the server is told, by environment variables alone.

`python -m lifecycle.serving` reads them once, at start; what is wrong is said in one message, and nothing is served.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRETS = Path("/run/secrets")
QUOTA = Path("/sys/fs/cgroup/cpu.max")
MOST_WORKERS = 4  # where WORKERS is not set, however many cores there are

ErrorHook = Callable[[BaseException, Mapping[str, Any]], None]


class SettingsError(Exception):
    """The environment does not describe a server; the message says which variables, and what they must be."""


class Settings(BaseSettings):
    """The server's environment variables; their names are the fields' in capitals.

    Which version is served: MODEL_VERSION if set, else MODEL_ALIAS, else MODEL_STAGE (MLflow's older stages), else
    the alias `champion`. The most exact one wins, so that a rollout may pin a version over an alias.
    """

    model_config = SettingsConfigDict(extra="ignore", secrets_dir=SECRETS if SECRETS.is_dir() else None)

    mlflow_tracking_uri: str = Field(min_length=1, description="The MLflow server that has the registry.")
    model_name: str = Field(
        min_length=1, pattern=r"^[^/:]+$", description="The registered model, and its name in URLs."
    )
    model_version: int | None = Field(None, ge=1, description="The version; it wins over alias and stage.")
    model_alias: str = Field(
        "", pattern=r"^[\w-]*$", description="The alias that names it; `champion` if nothing does."
    )
    model_stage: str = Field("", pattern=r"^\w*$", description="The stage, for registries that still have them.")

    host: str = Field("0.0.0.0", description="The address to listen on.")  # noqa: S104 (a pod's own address)
    port: int = Field(8000, ge=1, le=65535, description="The port to listen on.")
    workers: int = Field(
        default_factory=lambda: min(cores(), MOST_WORKERS),
        ge=1,
        le=256,
        description="Processes that serve. Unset: one per core that this process may use, four at most.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error."
    )

    inference_timeout: float = Field(30, gt=0, le=3600, description="Seconds from a request's arrival to its 504.")
    max_batch_size: int = Field(32, ge=1, le=100_000, description="Most rows of one request, and of one predict call.")
    max_queue: int = Field(256, ge=1, description="Requests waiting in one worker before others are refused (503).")
    max_body_bytes: int = Field(1 << 20, ge=1, description="Most bytes of a request's body.")
    drain_delay: float = Field(5, ge=0, description="Seconds of service after SIGTERM while /ready says no.")
    drain_timeout: float = Field(30, gt=0, description="Seconds from SIGTERM to the end, the delay among them.")

    inference_log_sink: str = Field(
        "", description="Where inference events go: http(s)://... or file:///...; else none."
    )
    user_id_key: SecretStr = Field(SecretStr(""), description="Keys user_id's hash; without it none is logged.")
    error_hook: str = Field("", description="`module:function`, called with an unexpected exception and its request.")

    feature_micro_batching: bool = Field(True, description="Whether requests share calls of predict.")
    feature_inference_log: bool = Field(True, description="Whether inferences are logged, where there is a sink.")
    feature_tracing: bool = Field(True, description="Traces also need OTEL_EXPORTER_OTLP_ENDPOINT.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level

    @field_validator("inference_log_sink")
    @classmethod
    def _sink(cls, sink: str) -> str:
        parts = urlsplit(sink)
        if sink and not (parts.scheme in ("http", "https") and parts.netloc) and not _is_local_file(sink):
            raise ValueError("must be http://..., https://... or file:///an/absolute/path")
        return sink

    @field_validator("error_hook")
    @classmethod
    def _hook(cls, name: str) -> str:
        if name:
            load_hook(name)
        return name

    @model_validator(mode="after")
    def _drains_in_time(self) -> Settings:
        if self.drain_delay >= self.drain_timeout:
            raise ValueError("DRAIN_DELAY must be shorter than DRAIN_TIMEOUT, of which it is a part")
        return self

    @property
    def choice(self) -> str:
        """How the served version was chosen, for logs: `version 3`, `alias champion`."""
        if self.model_version is not None:
            return f"version {self.model_version}"
        return f"alias {self.alias}" if self.alias else f"stage {self.model_stage}"

    @property
    def alias(self) -> str:
        """The alias that decides where no version does; empty where a stage does."""
        return self.model_alias or ("" if self.model_stage else "champion")

    @property
    def log_file(self) -> Path | None:
        """The inference log where it is a file."""
        return Path(urlsplit(self.inference_log_sink).path) if _is_local_file(self.inference_log_sink) else None


def read() -> Settings:
    """The settings that the environment holds. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"  {_variable(problem['loc'])}: {_words(problem['msg'])}" for problem in error.errors()]
        raise SettingsError("The server's settings are wrong, so nothing is served:\n" + "\n".join(problems)) from None


def load_hook(name: str) -> ErrorHook:
    """The function that `module:function` names. Raises ValueError when there is none."""
    module, _, function = name.partition(":")
    try:
        hook = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"must name an importable module:function ({error})") from None
    if not callable(hook):
        raise ValueError("must name a function")
    return hook  # type: ignore[no-any-return]


def cores() -> int:
    """Cores this process may use: its CPU affinity, and its control group's quota where there is one (cpu.max).

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = QUOTA.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))


def _variable(location: tuple[int | str, ...]) -> str:
    return str(location[0]).upper() if location else "DRAIN_DELAY"


def _words(message: str) -> str:
    return "is not set" if message == "Field required" else message.removeprefix("Value error, ")


def _is_local_file(sink: str) -> bool:
    parts = urlsplit(sink)
    return parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
