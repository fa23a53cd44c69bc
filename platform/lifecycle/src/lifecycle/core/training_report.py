"""What a training run reports at its end: a line of JSON, small enough for a termination message."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

# The kubelet keeps 4096 bytes of a container's message: https://kubernetes.io/docs/tasks/debug/debug-application/
# determine-reason-pod-failure/. In JSON a character takes at most six bytes.
_MAX_REASONS, _MAX_REASON = 4, 150


class TrainingOutcome(StrEnum):
    """How a run ended; for people, and a label of metrics."""

    RETRAINED = "retrained"
    GATE_REFUSED = "gate-refused"
    FAILED = "training-failed"


class TrainingReport(BaseModel):
    """The end of a run; `version` and `run_id` are empty if there are none."""

    outcome: TrainingOutcome
    version: str = ""
    run_id: str = ""
    reasons: list[str] = Field(default_factory=list)

    def to_line(self) -> str:
        """JSON with the first reasons, shortened."""
        reasons = [reason[:_MAX_REASON] for reason in self.reasons[:_MAX_REASONS]]
        return self.model_copy(update={"reasons": reasons}).model_dump_json()
