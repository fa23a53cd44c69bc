"""How a training run ended: from its container's termination message, or as Kubernetes reports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from lifecycle.core.text import to_line
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.retraining.jobs import Job, Manifest, State

_MAX_LINE = 300  # characters of a log


def read_result(job: Job, pods: Sequence[Manifest]) -> TrainingReport:
    """The result of a Job that has ended, from its pods."""
    ended = sorted(_list_ended(pods), key=lambda each: str(each.get("finishedAt")))
    if ended:
        try:
            return TrainingReport.model_validate_json(ended[-1].get("message", ""))
        except ValidationError:
            pass  # it ended before it could write a report
    if job.state is State.COMPLETE:
        reason = f"the result of the Job {job.name} is unknown, since its pod is gone; look for the run in MLflow"
        return TrainingReport(outcome=TrainingOutcome.RETRAINED, reasons=[reason])
    reasons = [job.problem, *map(_describe_end, ended[-1:])]
    return TrainingReport(outcome=TrainingOutcome.FAILED, reasons=[to_line(reason) for reason in reasons if reason])


def _list_ended(pods: Sequence[Manifest]) -> Iterator[Mapping[str, Any]]:
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses", ()):
            if "terminated" in status.get("state", {}):
                yield status["state"]["terminated"]


def _describe_end(terminated: Mapping[str, Any]) -> str:
    """The kubelet's reason, such as OOMKilled, and the last line of the log if there is one."""
    lines = str(terminated.get("message", "")).strip().splitlines()
    end = f"{terminated.get('reason', 'the container ended')}, exit status {terminated.get('exitCode')}"
    return f"{end}: {lines[-1][-_MAX_LINE:]}" if lines else end
