"""Renders docs/lifecycle-settings.md from the settings' classes: `python -m lifecycle.reference --write FILE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from lifecycle.contract import ContractSettings
from lifecycle.core.error_tracking import ErrorTrackingSettings
from lifecycle.core.settings import EndpointSettings, NotificationSettings, RegistrySettings, variable_name
from lifecycle.drift.settings import CollectorSettings, DriftSettings
from lifecycle.experiment.settings import DecisionSettings, RouterSettings, SpoolSettings
from lifecycle.experiment.settings import WriterSettings as ExperimentWriterSettings
from lifecycle.gate import GateSettings
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.settings import DatabaseSettings, DispatchSettings, ReceiverSettings, WorkerSettings
from lifecycle.retraining.settings import RetrainingSettings, ScheduleSettings
from lifecycle.rollout.settings import RolloutSettings
from lifecycle.serving.settings import ServingSettings
from lifecycle.training.settings import SubmitSettings, TrainingSettings

_SECTIONS: Mapping[str, type[BaseSettings]] = {
    "Training": TrainingSettings,
    "Gate": GateSettings,
    "Submission to a cloud": SubmitSettings,
    "Serving contract": ContractSettings,
    "Serving": ServingSettings,
    "Model registry": RegistrySettings,
    "Endpoint of processes other than serving and the experiments' router": EndpointSettings,
    "Reports of errors, of all servers": ErrorTrackingSettings,
    "Promotion, receiver": ReceiverSettings,
    "Promotion, worker": WorkerSettings,
    "Promotion, dispatch to a workflow": DispatchSettings,
    "Promotion, creation of the database": DatabaseSettings,
    "Notifications": NotificationSettings,
    "GitOps repository": GitopsSettings,
    "Rollout": RolloutSettings,
    "Experiments, router": RouterSettings,
    "Experiments, writer": ExperimentWriterSettings,
    "Experiments, spool of both": SpoolSettings,
    "Experiments, decisions": DecisionSettings,
    "Drift, analysis": DriftSettings,
    "Drift, collector": CollectorSettings,
    "Retraining, service": RetrainingSettings,
    "Retraining, schedule": ScheduleSettings,
}
_HEADER = """# Settings of the model lifecycle

All settings are environment variables. This page is generated from the code by `make docs-lifecycle`. Each program
checks its settings when it starts, and names missing or invalid variables. Traces use OpenTelemetry's own variables:
[observability](observability.md#traces).
"""


def render() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEADER, *(line for title, settings in _SECTIONS.items() for line in _section(title, settings))])


def _section(title: str, settings: type[BaseSettings]) -> Iterator[str]:
    yield f"## {title}\n\n| variable | default | meaning |\n|---|---|---|"
    for name, field in settings.model_fields.items():
        yield f"| `{variable_name(settings, name)}` | {_default(field)} | {field.description or ''} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "computed"
    value: Any = field.default
    if value is PydanticUndefined:
        return "**required**"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return "" if value in (None, "") else f"`{value}`"


if __name__ == "__main__":
    Path(sys.argv[sys.argv.index("--write") + 1]).write_text(render())
