"""The foundation on AWS, declared against the simulated account. Proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra import aws
from infra.contract import Foundation, KarpenterContract
from tests.support.recording import RecordedResource, Recorder, record_program, stack_context

ALERTS: dict[str, Any] = {
    "telemetry": {"alertEmail": "ml@example.com", "retentionDays": 45},
    "cost": {"monthlyBudget": 5000},
}


@dataclass(frozen=True)
class DeclaredStack:
    recorder: Recorder
    foundation: Foundation

    def of_type(self, type_: str, name: str = "") -> list[RecordedResource]:
        return [resource for resource in self.recorder.of_type(type_) if name in ("", resource.name)]

    def get_id(self, type_: str, name: str) -> str:
        """The ID in the simulated account, with which the resource's ARN ends."""
        (resource,) = self.of_type(type_, name)
        return str(resource.outputs["arn"]).rpartition("/")[2]

    @property
    def karpenter(self) -> KarpenterContract:
        assert self.foundation.karpenter is not None
        return self.foundation.karpenter

    def single(self, type_: str, name: str) -> Mapping[str, Any]:
        (resource,) = self.of_type(type_, name)
        return resource.inputs


def declare(environment: str = "dev", recorder: Recorder | None = None, **settings: Any) -> DeclaredStack:
    context = stack_context("aws", environment, **settings)
    return DeclaredStack(*record_program(lambda: aws.create_foundation(context), f"aws-{environment}", recorder))
