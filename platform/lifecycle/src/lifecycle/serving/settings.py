"""The server's settings, read once at startup. With invalid settings the server does not start."""

from __future__ import annotations

import importlib
import os
import resource
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.core import CHAMPION, read_settings
from lifecycle.core.error_tracking import ErrorTrackingSettings
from lifecycle.core.event_sink import check_sink, find_sink_file

SECRETS = Path(os.environ.get("SERVING_SECRETS_DIR", "/run/secrets"))
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_OTHER_DESCRIPTORS = 64  # in a worker: libraries' files, metrics, the inference log's sink, the event loop
MAX_DEFAULT_WORKERS = 4  # if WORKERS is not set, even with more cores

ErrorHook = Callable[[BaseException, Mapping[str, Any]], None]
"""Called with an unexpected exception, and with the request's ID and endpoint."""


class ServingSettings(BaseSettings):
    """The server's environment variables; their names are the fields' names in capitals.

    Which version is served: MODEL_VERSION if set, else MODEL_ALIAS, else MODEL_STAGE (MLflow's deprecated stages), else
    the alias `champion`. So a rollout can pin a version regardless of an alias.
    """

    model_config = SettingsConfigDict(extra="ignore", secrets_dir=SECRETS if SECRETS.is_dir() else None)

    mlflow_tracking_uri: str = Field(min_length=1, description="the MLflow server with the model registry")
    model_name: str = Field(min_length=1, pattern=r"^[^/:]+$", description="the registered model, and its name in URLs")
    model_version: int | None = Field(None, ge=1, description="the version; takes precedence over alias and stage")
    model_alias: str = Field(
        "",
        pattern=r"^[\w-]*$",
        description="the alias of the version; `champion` if version, alias and stage are unset",
    )
    model_stage: str = Field("", pattern=r"^\w*$", description="the stage of the version, for registries with stages")

    host: str = Field("0.0.0.0", description="the address to listen on")  # noqa: S104 (a pod's own address)
    port: int = Field(8000, ge=1, le=65535, description="the port to listen on")
    workers: int = Field(
        default_factory=lambda: min(count_cores(), MAX_DEFAULT_WORKERS),
        ge=1,
        le=256,
        description="worker processes; if unset, one per core that this process may use, at most four",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`"
    )

    inference_timeout: float = Field(30, gt=0, le=3600, description="seconds from a request's arrival to status 504")
    max_batch_size: int = Field(
        32, ge=1, le=100_000, description="maximum rows of one request, and of one predict call"
    )
    max_queue: int = Field(256, ge=1, description="requests that wait in one worker before others get status 503")
    max_body_bytes: int = Field(1 << 20, ge=1, description="maximum size of a request's body, in bytes")
    read_timeout: float = Field(
        30, gt=0, le=3600, description="seconds in which a request must arrive, and its response must be read"
    )
    max_connections: int = Field(
        512,
        ge=1,
        description="maximum connections of one worker, each of which takes a file descriptor; beyond that, a new one "
        "replaces the one that has waited longest for its request",
    )
    drain_delay: float = Field(
        5, ge=0, description="seconds after SIGTERM in which the server is not ready but still serves"
    )
    drain_timeout: float = Field(30, gt=0, description="seconds from SIGTERM to the end, including the delay")

    inference_log_sink: str = Field(
        "", description="where inference events are sent: `http(s)://...` or `file:///...`; nowhere if unset"
    )
    user_id_key: SecretStr = Field(SecretStr(""), description="key of the hash of user_id; without it none is logged")
    error_hook: str = Field("", description="`module:function`, called with unexpected exceptions and their requests")

    feature_micro_batching: bool = Field(True, description="whether requests share predict calls")
    feature_inference_log: bool = Field(True, description="whether inferences are logged, if there is a sink")
    feature_tracing: bool = Field(True, description="whether traces are sent, if OTEL_EXPORTER_OTLP_ENDPOINT is set")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level

    @field_validator("inference_log_sink")
    @classmethod
    def _check_sink(cls, sink: str) -> str:
        return check_sink(sink)

    @field_validator("error_hook")
    @classmethod
    def _check_hook(cls, name: str) -> str:
        if name:
            load_hook(name)
        return name

    @model_validator(mode="after")
    def _check_drain(self) -> ServingSettings:
        if self.drain_delay >= self.drain_timeout:
            raise ValueError("DRAIN_DELAY must be shorter than DRAIN_TIMEOUT, which includes it; change one of them")
        return self

    @field_validator("max_connections")
    @classmethod
    def _check_descriptors(cls, connections: int) -> int:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if connections + _OTHER_DESCRIPTORS > limit:
            raise ValueError(
                f"must be at most {limit - _OTHER_DESCRIPTORS}, because this process may have {limit} file "
                "descriptors (ulimit -n)"
            )
        return connections

    @cached_property
    def error_tracking(self) -> ErrorTrackingSettings:
        """Where errors are reported; from separate variables."""
        return read_settings(ErrorTrackingSettings)

    @property
    def version_selector(self) -> str:
        """How the served version is selected, for logs: `version 3`, `alias champion`."""
        if self.model_version is not None:
            return f"version {self.model_version}"
        return f"alias {self.selecting_alias}" if self.selecting_alias else f"stage {self.model_stage}"

    @property
    def selecting_alias(self) -> str:
        """The alias that selects the version if no version is set; empty if a stage does."""
        return self.model_alias or ("" if self.model_stage else CHAMPION)

    @property
    def log_file(self) -> Path | None:
        """The inference log, if it is a file."""
        return find_sink_file(self.inference_log_sink)


def load_hook(name: str) -> ErrorHook:
    """The function that `module:function` names. Raises ValueError if there is none."""
    module, _, function = name.partition(":")
    try:
        hook = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"must name an importable module:function ({error})") from None
    if not callable(hook):
        raise ValueError("must name a function")
    return hook  # type: ignore[no-any-return]


def count_cores() -> int:
    """Cores that this process may use: its CPU affinity, limited by its control group's quota (cpu.max).

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))
