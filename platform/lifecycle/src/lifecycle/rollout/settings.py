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
    # Argo CD polls git every 180 s; Kubernetes gives a Deployment 600 s to progress, including nodes and images.
    # https://argo-cd.readthedocs.io/en/stable/faq/#how-often-does-argo-cd-check-for-changes-to-my-git-or-helm-repository
    # https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds
    progress_deadline: float = Field(
        900.0,
        gt=0,
        description="seconds after which a step whose evaluation stays inconclusive has failed, for example if the "
        "challenger's pods are not ready",
    )
    poll_interval: float = Field(5.0, gt=0, description="seconds between two evaluations")
    max_retry_delay: float = Field(
        120.0, gt=0, description="maximum seconds before a failed step is repeated; the delay is doubled each time"
    )
    min_requests: int = Field(50, ge=1, description="requests that the challenger must have answered in a step")
    false_rollback_rate: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="maximum probability that a challenger as good as the champion is rolled back by chance",
    )
    # https://prometheus.io/docs/prometheus/latest/querying/functions/#increase needs two samples; four allow for gaps.
    metrics_block: float = Field(
        60.0, gt=0, description="length in seconds of the blocks of time that are compared; at least four scrapes"
    )
    max_error_rate: float = Field(
        0.05,
        ge=0,
        le=1,
        description="maximum share of requests that are lost or answered with a status 5xx, regardless of the champion",
    )
    max_p95: float = Field(
        2.0,
        gt=0,
        description="maximum 95th percentile of the response times in seconds, regardless of the champion; slower "
        "responses are counted above the next bound of the histogram",
    )
    max_worker_deaths: int = Field(
        0, ge=0, description="maximum worker processes of the challenger that may end unexpectedly in a step"
    )
    max_restarts: Annotated[int, Field(ge=0)] | None = Field(
        0, description="maximum restarts of the challenger's containers in a step; `none` without kube-state-metrics"
    )
    test_predictions: int = Field(5, ge=1, description="test predictions before each step")
    # As long as lifecycle.serving lets a request wait by default.
    test_timeout: float = Field(
        30.0, gt=0, description="seconds after which a test prediction without a response is repeated"
    )
    readiness_failure_threshold: int = Field(
        30, ge=1, description="readiness checks in a row after which a service that has requests has failed"
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
