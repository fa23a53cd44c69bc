"""The simulated `time` provider, in which waiting takes no time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rehearsal.simulator.core.cloud import Cloud, ProviderFunction
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import matches

_DURATION = r"[0-9]+(\.[0-9]+)?(ms|s|m|h)"
_MODELS = (
    ResourceModel(
        "time:index/sleep:Sleep",
        id="{hex:16}",  # the real provider's ID is the time of the creation, but here IDs must be unique
        replace_on_changes=("triggers",),
        transitions=UNRESTRICTED,
        rules=tuple(
            matches(path, _DURATION, "'{value}' is not a valid duration: use a number and a unit, such as 5s or 1.5m")
            for path in ("createDuration", "destroyDuration")
        ),
    ),
)


class _Time:
    name = "time"
    account: Mapping[str, str] = {}
    functions: Mapping[str, ProviderFunction] = {}
    secret_functions: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG002 the provider has no settings
        return {}

    def get_model(self, type_: str) -> ResourceModel | None:
        return next((model for model in _MODELS if model.type == type_), None)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:  # noqa: ARG002 inputs refer to nothing
        return None


CLOUD: Cloud = _Time()
