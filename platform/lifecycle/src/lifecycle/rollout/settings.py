"""Settings of a rollout."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Percent = Annotated[int, Field(ge=1, le=100)]


class RolloutSettings(BaseSettings):
    """From `ROLLOUT_*`; an optional number may be `none`."""

    model_config = SettingsConfigDict(env_prefix="ROLLOUT_", env_parse_none_str="none", extra="ignore")

    prometheus: str = Field(pattern="^https?://.", description="address of Prometheus")
    steps: Annotated[tuple[Percent, ...], NoDecode] = Field(
        (10, 25, 50, 100),
        description="percent of the requests that go to the challenger, ascending to 100: `10,25,50,100`",
    )
    interval: float = Field(60.0, ge=0, description="minimum seconds between two steps")
    progress_deadline: float = Field(
        900.0, gt=0, description="seconds after which a step whose evaluation stays inconclusive has failed"
    )
    poll_interval: float = Field(5.0, gt=0, description="seconds between two evaluations")
    max_retry_delay: float = Field(
        120.0, gt=0, description="seconds up to which the delay before a failed step is repeated is doubled (`watch`)"
    )
    min_requests: int = Field(50, ge=1, description="requests that the challenger must have answered in a step")
    max_error_rate: float = Field(0.05, ge=0, le=1, description="maximum share of responses with a status 5xx")
    max_p95: float = Field(
        2.0,
        gt=0,
        description="maximum 95th percentile of the response times, and time after which a test prediction is "
        "repeated, in seconds",
    )
    max_restarts: Annotated[int, Field(ge=0)] | None = Field(
        0, description="maximum restarts of the challenger's containers in a step; none without kube-state-metrics"
    )
    test_predictions: int = Field(5, ge=1, description="test predictions before each step")
    readiness_failure_threshold: int = Field(
        30, ge=1, description="readiness checks in a row after which a service has failed"
    )
    readiness_period: float = Field(3.0, ge=0, description="seconds between two readiness checks")
    namespace: str = Field("serving", description="namespace of the InferenceServices")
    service_url: str = Field(
        "http://{service}.{namespace}.svc.cluster.local", description="URL of a Service, with {service} and {namespace}"
    )

    @field_validator("steps", mode="before")
    @classmethod
    def _split(cls, steps: Any) -> Any:
        return steps.strip("[] ").split(",") if isinstance(steps, str) else steps

    @field_validator("steps")
    @classmethod
    def _check_ascending(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if list(steps) != sorted(set(steps)) or not steps or steps[-1] != 100:
            raise ValueError("the steps must ascend and end with 100, as in 10,25,50,100")
        return steps
