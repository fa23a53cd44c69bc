"""What a rollout is told by its environment."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Percent = Annotated[int, Field(ge=1, le=100)]


class RolloutSettings(BaseSettings):
    """Read from ROLLOUT_*; an optional number may be `none`.

    prometheus       its address
    steps            percent of the requests that the challenger gets, ascending to 100, as in 10,25,50,100
    interval         seconds that each step stands at least
    patience         seconds after which a step that could not be judged has failed
    poll             seconds between looks at a step
    requests         fewest requests of a step that tell anything
    error_rate       largest share of answers 5xx
    p95              largest 95th percentile of the answers' times, and longest time of a test prediction, seconds
    restarts         most restarts of the challenger's containers in a step; none where kube-state-metrics is not there
    predictions      test predictions before each step
    ready_tries, ready_pause  how often, and at what distance in seconds, a service that is not ready is asked again
    namespace        where the models are served
    service_url      a role's service, with {service} and {namespace}
    """

    model_config = SettingsConfigDict(env_prefix="ROLLOUT_", env_parse_none_str="none", extra="ignore")

    prometheus: Annotated[str, Field(pattern="^https?://.")]
    steps: Annotated[tuple[Percent, ...], NoDecode] = (10, 25, 50, 100)
    interval: Annotated[float, Field(ge=0)] = 60.0
    patience: Annotated[float, Field(gt=0)] = 900.0
    poll: Annotated[float, Field(gt=0)] = 5.0
    requests: Annotated[int, Field(ge=1)] = 50
    error_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    p95: Annotated[float, Field(gt=0)] = 2.0
    restarts: Annotated[int, Field(ge=0)] | None = 0
    predictions: Annotated[int, Field(ge=1)] = 5
    ready_tries: Annotated[int, Field(ge=1)] = 30
    ready_pause: Annotated[float, Field(ge=0)] = 3.0
    namespace: str = "serving"
    service_url: str = "http://{service}.{namespace}.svc.cluster.local"

    @field_validator("steps", mode="before")
    @classmethod
    def _split(cls, steps: Any) -> Any:
        return steps.strip("[] ").split(",") if isinstance(steps, str) else steps

    @field_validator("steps")
    @classmethod
    def _ascend_to_all(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if list(steps) != sorted(set(steps)) or not steps or steps[-1] != 100:
            raise ValueError("the steps must ascend and end with 100, as in 10,25,50,100")
        return steps
