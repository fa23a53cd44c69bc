"""The Job of a training run: its manifest, and the state that is read from it. There is no state other than Jobs."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from lifecycle.core import LifecycleError
from lifecycle.core.names import ANNOTATION_DOMAIN
from lifecycle.retraining.triggers import TrainingRequest

MANAGER = "retraining"
MANAGER_LABEL = "app.kubernetes.io/managed-by"
MODEL_LABEL = f"{ANNOTATION_DOMAIN}/model"
TRIGGER_LABEL = f"{ANNOTATION_DOMAIN}/trigger"
REASON = f"{ANNOTATION_DOMAIN}/reason"
EVENT = f"{ANNOTATION_DOMAIN}/event"
NOTICE = f"{ANNOTATION_DOMAIN}/notice"
OUTCOME = f"{ANNOTATION_DOMAIN}/outcome"

_NUMBER = re.compile(r"-([1-9][0-9]{0,9})$")

Manifest = Mapping[str, Any]


class State(StrEnum):
    ACTIVE = "active"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True)
class Job:
    """A training run's Job.

    number   counts the runs of a model
    problem  the Job controller's reason for a failure, such as DeadlineExceeded
    version  its resourceVersion, which changes with every change
    """

    name: str
    model: str
    trigger: str
    number: int
    created: datetime
    state: State
    problem: str
    annotations: Mapping[str, str]
    version: str

    @property
    def is_active(self) -> bool:
        return self.state is State.ACTIVE

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Job:
        metadata = manifest["metadata"]
        labels, number = metadata.get("labels", {}), _NUMBER.search(metadata["name"])
        state, problem = _read_state(manifest.get("status", {}))
        return cls(
            metadata["name"],
            labels.get(MODEL_LABEL, ""),
            labels.get(TRIGGER_LABEL, ""),
            int(number[1]) if number else 0,
            datetime.fromisoformat(metadata["creationTimestamp"]),
            state,
            problem,
            metadata.get("annotations", {}),
            metadata["resourceVersion"],
        )


def _read_state(status: Mapping[str, Any]) -> tuple[State, str]:
    """Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions"""
    for condition in status.get("conditions", ()):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return State.COMPLETE, ""
        if condition["status"] == "True" and condition["type"] == "Failed":
            return State.FAILED, ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
    return State.ACTIVE, ""


def read_template(path: Path) -> Manifest:
    """The manifest from which the Jobs of all runs are built. Raises LifecycleError if it is not a Job."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise LifecycleError(f"RETRAINING_TEMPLATE {path} cannot be read: {problem}; correct it") from None
    if not isinstance(content, dict) or content.get("kind") != "Job" or not _find_containers(content):
        raise LifecycleError(f"RETRAINING_TEMPLATE {path} is not the manifest of a Job with a container; correct it")
    return content


def _find_containers(manifest: Manifest) -> list[dict[str, Any]]:
    value: Any = manifest
    for key in ("spec", "template", "spec", "containers"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) and all(isinstance(one, dict) for one in value) else []


def build_manifest(template: Manifest, request: TrainingRequest, number: int, kept: timedelta) -> Manifest:
    """The Job of a model's run with this number.

    Its name is the lock: if two processes start a model's next run at the same time, the API server refuses one.

    kept  how long the Job is kept once it has finished
    """
    manifest: dict[str, Any] = copy.deepcopy(dict(template))
    labels = {MANAGER_LABEL: MANAGER, MODEL_LABEL: request.model, TRIGGER_LABEL: str(request.trigger)}
    annotations = {REASON: request.reason, EVENT: request.event}
    metadata = manifest.setdefault("metadata", {})
    metadata["name"] = f"retrain-{request.model}-{number}"
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    metadata["annotations"] = {**metadata.get("annotations", {}), **{k: v for k, v in annotations.items() if v}}
    manifest["spec"]["ttlSecondsAfterFinished"] = int(kept.total_seconds())
    for container in _find_containers(manifest):
        # First, so that the others can name it: $(TRAINING_MODEL).
        container["env"] = [{"name": "TRAINING_MODEL", "value": request.model}, *container.get("env", [])]
    return manifest
