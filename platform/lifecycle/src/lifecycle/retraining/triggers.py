"""The triggers of training runs, and the formats of their requests: Alertmanager's webhook, and CloudEvents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from lifecycle.core.names import DRIFT_EVENT, NEW_DATA_EVENT
from lifecycle.core.text import to_line

_MAX_REASON = 500  # characters


class Trigger(StrEnum):
    """Why a run starts; a label of its Job."""

    SCHEDULE = "schedule"
    NEW_DATA = "new-data"
    DRIFT = "drift"
    ALERT = "alert"
    PERSON = "person"


@dataclass(frozen=True)
class TrainingRequest:
    """
    model   the registered model's name, as sent
    reason  for people, on one line
    event   identifies an event that its sender may send again; empty if every request counts separately
    """

    model: str
    trigger: Trigger
    reason: str = ""
    event: str = ""


Text = Annotated[str, Field(min_length=1, max_length=256)]


class _Alert(BaseModel):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}


class _Notification(BaseModel):
    """Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"""

    version: Literal["4"]
    alerts: list[_Alert] = Field(max_length=1000)


class _EventData(BaseModel):
    model: Text
    reasons: list[str] = Field([], max_length=1000)


class _Event(BaseModel):
    """Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes"""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Literal["dev.groundwork.drift", "dev.groundwork.new-data"]
    data: _EventData


_TRIGGERS = {DRIFT_EVENT: Trigger.DRIFT, NEW_DATA_EVENT: Trigger.NEW_DATA}


def parse_alerts(body: bytes, names: Collection[str]) -> Sequence[TrainingRequest]:
    """One request for each model with a firing alert of these names. Raises pydantic's ValidationError.

    A firing alert is sent repeatedly as long as the problem lasts: the cool-down decides whether a run starts.
    """
    requests: dict[str, TrainingRequest] = {}
    for alert in _Notification.model_validate_json(body).alerts:
        name, model = alert.labels.get("alertname", ""), alert.labels.get("model", "")
        if alert.status == "firing" and name in names and model:
            summary = alert.annotations.get("description") or alert.annotations.get("summary", "")
            requests.setdefault(model, TrainingRequest(model, Trigger.ALERT, _shorten(f"{name}: {summary}")))
    return list(requests.values())


def parse_event(body: bytes) -> TrainingRequest:
    """The request of an event. Raises pydantic's ValidationError."""
    event = _Event.model_validate_json(body)
    # Source and ID identify an event; they are used in the value of a Kubernetes annotation, not in its name.
    reason = _shorten("; ".join(event.data.reasons))
    return TrainingRequest(event.data.model, _TRIGGERS[event.type], reason, to_line(f"{event.source} {event.id}"))


def _shorten(text: str) -> str:
    return to_line(text)[:_MAX_REASON]
