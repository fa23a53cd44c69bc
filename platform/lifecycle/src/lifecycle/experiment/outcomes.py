"""Outcomes that clients report, as one object or a list:

    {"experiment": "churn-forest", "request_id": "...", "name": "converted", "value": 1}

`request_id` and `experiment` are the ones in the prediction's response. Whether there was such a prediction, or already
an outcome for it, cannot be known here, and is found when results are joined. `time`, if a client sends it, is only
checked.
"""

from __future__ import annotations

import time
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lifecycle.core.http_requests import REQUEST_ID
from lifecycle.experiment import metrics
from lifecycle.experiment.definitions import DefinitionsFile
from lifecycle.experiment.recorder import Recorder
from lifecycle.experiment.records import Outcome

_MAX_OUTCOMES = 200  # in one request: checking more would delay predictions by a millisecond


class OutcomeError(Exception):
    """All outcomes of the request are refused; `status` is the response's."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class _Reported(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    experiment: str
    request_id: Annotated[str, Field(pattern=f"^{REQUEST_ID}$")]
    name: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    time: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Seconds since 1970, by the client's clock."""


_LIST = TypeAdapter(Annotated[list[_Reported], Field(min_length=1, max_length=_MAX_OUTCOMES)])


class Outcomes:
    """Checks outcomes, and hands them to the recorder."""

    def __init__(self, definitions: DefinitionsFile, recorder: Recorder, max_clock_difference: float) -> None:
        self._definitions = definitions
        self._recorder = recorder
        self._max_clock_difference = max_clock_difference

    async def accept(self, body: bytes) -> int:
        """Store the outcomes that a client reports, and return their number.

        Raises OutcomeError if any is invalid, SpoolError if they cannot be stored; in both cases none is stored.
        """
        try:
            outcomes = [self._check(reported) for reported in _parse(body)]
        except OutcomeError as error:
            metrics.OUTCOMES.labels("", error.reason).inc()
            raise
        await self._recorder.record_durably(outcomes)
        for outcome in outcomes:
            metrics.OUTCOMES.labels(outcome.experiment, "accepted").inc()
        return len(outcomes)

    def _check(self, reported: _Reported) -> Outcome:
        now = time.time()
        experiment = self._definitions.current.by_name.get(reported.experiment)
        if experiment is None:
            known = ", ".join(self._definitions.current.by_name) or "none"
            raise OutcomeError(404, "unknown-experiment", f"there is no such experiment; known experiments: {known}")
        kind = experiment.outcomes.get(reported.name)
        if kind is None:
            names = ", ".join(experiment.outcomes) or "none"
            message = f"the experiment {experiment.name} has no such outcome; it has: {names}"
            raise OutcomeError(422, "unknown-name", message)
        if kind == "binary" and reported.value not in (0, 1):
            raise OutcomeError(422, "invalid", f"the outcome {reported.name} is binary: its value must be 0 or 1")
        if reported.time is not None and reported.time > now + self._max_clock_difference:
            message = (
                f"the outcome is from the future: its time is {reported.time - now:.0f} s after this server's clock, "
                f"and at most {self._max_clock_difference:g} s are accepted; correct the sender's clock"
            )
            raise OutcomeError(422, "future", message)
        return Outcome(experiment.name, reported.request_id, now, reported.name, reported.value)


def _parse(body: bytes) -> list[_Reported]:
    try:
        data = orjson.loads(body)  # orjson accepts neither NaN nor numbers beyond a float's range
        return _LIST.validate_python(data if isinstance(data, list) else [data])
    except orjson.JSONDecodeError as error:
        raise OutcomeError(400, "invalid", f"the body is not JSON: {error}") from None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        detail = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:5])
        raise OutcomeError(422, "invalid", detail) from None
