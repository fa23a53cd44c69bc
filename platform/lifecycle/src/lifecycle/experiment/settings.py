"""Settings of the router, the writer and the analysis."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_CONFIG = SettingsConfigDict(
    env_prefix="EXPERIMENT_", secrets_dir=os.environ.get("EXPERIMENT_SECRETS_DIR"), extra="ignore"
)


class SpoolSettings(BaseSettings):
    """A folder that router and writer share, which survives a restart of either."""

    model_config = _CONFIG

    folder: Path = Field(Path("experiment"), description="the folder of the spool, shared by router and writer")
    spool_max_bytes: int = Field(
        256 << 20,
        ge=1 << 16,
        description="maximum size of the spool in bytes, besides 4 MB for its journal; a record has about 500",
    )


class StoreSettings(BaseSettings):
    """Where the records are stored; from `EXPERIMENT_*`."""

    model_config = _CONFIG

    store: str = Field(
        "sqlite:///experiments.db",
        description="`sqlite:///<path>`, `dynamodb://<prefix of the tables>` or `cosmosdb://<host>/<database>`",
    )


class FileSettings(BaseSettings):
    """Where the experiments are defined; from `EXPERIMENT_*`."""

    model_config = _CONFIG

    file: Path = Field(description="the experiments file, from git; docs/experiments.md describes its format")


class DecisionSettings(FileSettings, StoreSettings):
    """From `EXPERIMENT_*`, and the stack from `GITOPS_STACK`."""

    stack: str = Field(validation_alias="GITOPS_STACK", description="the stack that notifications name")


class RouterSettings(FileSettings):
    """From `EXPERIMENT_*`, or from files of these names in the folder EXPERIMENT_SECRETS_DIR."""

    reload_interval: float = Field(5.0, gt=0, description="seconds between two checks of the file")
    host: str = Field("127.0.0.1", description="the address to listen on; `0.0.0.0` in a pod")
    port: int = Field(8000, ge=1, le=65535, description="the port to listen on")
    service_url: str = Field(
        "http://{service}.serving.svc.cluster.local",
        pattern=r"^https?://.*\{service\}",
        description="URL of a Service, with {service}: `<model>-champion-predictor` or `<model>-challenger-predictor`",
    )
    timeout: float = Field(30.0, gt=0, le=3600, description="seconds in which the champion must respond")
    max_body_bytes: int = Field(1 << 20, ge=1, description="maximum size of a request's body, in bytes")
    drain_timeout: float = Field(25.0, gt=0, description="seconds in which requests must end after SIGTERM")
    user_id_header: str = Field(
        "x-user-id", pattern=r"^[a-z0-9-]+$", description="the request's header with the user's ID, in lower case"
    )
    user_id_key: SecretStr = Field(
        min_length=16,
        validation_alias="USER_ID_KEY",
        description="key of the hash that is stored for a user; the same as serving's, as in its inference log",
    )
    max_clock_difference: float = Field(
        300.0, ge=0, description="seconds by which an outcome's own time may be later than the router's"
    )

    @field_validator("service_url")
    @classmethod
    def _check_service_url(cls, url: str) -> str:
        try:
            example = url.format(service="service")
        except (IndexError, KeyError, ValueError):
            raise ValueError("only {service} may be in braces") from None
        try:
            _ = urlsplit(example).port
        except ValueError as error:
            raise ValueError(f"must be the URL of a server: {error}") from None
        return url


class WriterSettings(StoreSettings):
    """From `EXPERIMENT_*`."""

    retention_days: int | None = Field(
        None,
        ge=1,
        description="days after which DynamoDB deletes a record, as Cosmos DB does by itself; if unset, it is kept",
    )
    batch_size: int = Field(500, ge=1, le=10_000, description="maximum records in one write")
    poll_interval: float = Field(0.5, gt=0, description="seconds between two checks of an empty spool")
    retry_delay: float = Field(0.5, gt=0, description="seconds before a failed write is repeated; doubled each time")
    max_retry_delay: float = Field(30.0, gt=0, description="maximum seconds before a failed write is repeated")
