"""A simulated provider without account, settings or references: only its resource types."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.simulator.core.cloud import ProviderFunction
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest


@dataclass
class StandaloneProvider:
    """A Cloud whose resources refer to nothing. `models` has one entry for each type."""

    name: str
    models: Sequence[ResourceModel]
    account: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, ProviderFunction] = field(default_factory=dict)
    secret_functions: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG002 the provider has no settings
        return {}

    def get_model(self, type_: str) -> ResourceModel | None:
        return next((model for model in self.models if model.type == type_), None)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:  # noqa: ARG002 inputs refer to nothing
        return None
