"""The stages of a model's pipeline, each of which runs a command of the platform in the pod that has its permissions.

So a pipeline needs access only to the cluster: tokens of the GitOps repository and of the model registry stay in the
pods. A promotion is always the same command, in the same pod and with the same inbox, no matter who starts it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.cluster import Cluster
from delivery.errors import DeliveryError
from deploy.programs import Answer

STAGES = ("train", "images", "deploy", "ab_test", "promote")
_STAGES_BY_TYPE: Mapping[str, Sequence[str]] = {
    "full-pipeline": STAGES,
    "train": ("train",),
    "deploy": ("images", "deploy"),
    "ab-test": ("ab_test",),
    "promote": ("promote",),
}

_LIFECYCLE, _TRAINING, _SERVING = "lifecycle", "training", "serving"
_PROMOTION, _RETRAINING = "promotion-worker", "retraining"
_DECISIONS = "experiments-decide"
# The forms that the registry and the platform accept. The values become arguments of commands.
_MODEL = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_RUN = re.compile(r"the run (retrain-[a-z0-9-]+) has been started")
_INTERVAL = 10.0  # seconds between two polls

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; `version` is the challenger's, empty if there is none."""

    outcome: str
    version: str
    reasons: Sequence[str]


def plan(deployment_type: str, model: str, version: str) -> Mapping[str, bool]:
    """Which of `STAGES` run. Raises DeliveryError for an unknown type, and for a missing or invalid version."""
    if deployment_type not in _STAGES_BY_TYPE:
        raise DeliveryError(
            f"deployment_type is '{deployment_type}', which is not a kind of pipeline: use one of "
            f"{', '.join(_STAGES_BY_TYPE)} (docs/delivery.md describes them)."
        )
    stages = _STAGES_BY_TYPE[deployment_type]
    needs_version = "train" not in stages and bool({"deploy", "promote"} & {*stages})
    check_names(model, version if version or needs_version else None)
    return {stage: stage in stages for stage in STAGES}


def check_names(model: str, version: str | None = None) -> None:
    """Raises DeliveryError for an invalid name of a registered model or, if set, an invalid version number."""
    if not _MODEL.fullmatch(model):
        raise DeliveryError(
            f"model is '{model}', which is not a registered model's name: use lower-case letters, digits and hyphens, "
            "starting with a letter, at most 42."
        )
    if version is not None and not _VERSION.fullmatch(version):
        raise DeliveryError(f"version is '{version}', which is not a version number: use a number such as 3.")


def train(
    cluster: Cluster, model: str, seconds: float, *, is_forced: bool = False, sleep: Sleep = time.sleep
) -> TrainingResult:
    """Start a training run and wait for its end. Raises DeliveryError if none starts, or it takes too long."""
    force = ["--force"] if is_forced else []
    command = ["python", "-m", "lifecycle.retraining", "start", model, *force]
    answer = cluster.execute(_LIFECYCLE, _RETRAINING, *command)
    print(answer.output, end="")
    started = _RUN.search(answer.output)
    if answer.code or not started:
        raise DeliveryError(f"No training run of {model} has been started: {_shorten(answer)}.")
    return _wait_for_run(cluster, started[1], seconds, sleep)


def request_training(cluster: Cluster, model: str, event: str) -> str:
    """Send an event of new data to the service, or request the schedule if `event` is empty; returns the answer."""
    arguments = ["new-data", model, "--source", "/pipelines", "--id", event] if event else ["schedule"]
    return _execute(cluster, _RETRAINING, "lifecycle.retraining", *arguments)


def promote(cluster: Cluster, model: str, version: str, event: str = "") -> str:
    """Promote a version; for an event, only if it still is the challenger. Returns what was printed."""
    because = ["--keep-alias", "--event", event] if event else []
    return _execute(cluster, _PROMOTION, "lifecycle.promotion", "promote", model, version, *because)


def retry_promotions(cluster: Cluster) -> str:
    """Promote every challenger that has not been promoted."""
    return _execute(cluster, _PROMOTION, "lifecycle.promotion", "retry")


def set_serving_image(cluster: Cluster, digest: str) -> str:
    """Commit the digest of the serving image to the stack's overlay in the GitOps repository."""
    return _execute(cluster, _PROMOTION, "lifecycle.gitops", "set-image", "groundwork-serving", digest)


def wait_until_served(cluster: Cluster, model: str, version: str, seconds: float, sleep: Sleep = time.sleep) -> str:
    """Wait until an InferenceService of the version is ready; returns its name. Raises DeliveryError."""
    deadline = time.monotonic() + seconds
    while True:
        found = {
            item["metadata"]["name"]: item
            for item in cluster.list_objects("inferenceservices.serving.kserve.io", "--namespace", _SERVING)
            if _serves(item, model, version)
        }
        ready = sorted(name for name, item in found.items() if _is_ready(item))
        if ready:
            return str(ready[0])
        if time.monotonic() >= deadline:
            what = f"{', '.join(sorted(found))} is not ready" if found else "Argo CD has not applied it"
            raise DeliveryError(
                f"{model} version {version} does not serve after {seconds:g} s: {what}. `kubectl describe "
                f"inferenceservices --namespace {_SERVING}` says why; if changes are pull requests, merge it first."
            )
        sleep(_INTERVAL)


def analyse(cluster: Cluster, run: str, seconds: float) -> str:
    """Decide on the running experiments now; returns what was printed. Raises DeliveryError.

    run  an ID that makes the Job's name unique
    """
    name = f"{_DECISIONS}-{run}"
    within = ("--namespace", _SERVING)
    created = cluster.ask("create", "job", name, f"--from=cronjob/{_DECISIONS}", *within)
    if created.code:
        raise DeliveryError(f"The analysis could not be started: {created.reason}. A stack needs images.experiment.")
    waiting = ("wait", "--for=condition=complete", f"job/{name}", f"--timeout={seconds:g}s")
    waited = cluster.ask(*waiting, *within, timeout=seconds + 60)
    output = cluster.ask("logs", f"job/{name}", *within).output
    if waited.code:
        raise DeliveryError(f"The analysis failed ({waited.reason}). Its log:\n{output.strip()}")
    return output


def _wait_for_run(cluster: Cluster, job: str, seconds: float, sleep: Sleep) -> TrainingResult:
    deadline = time.monotonic() + seconds
    while True:
        pods = cluster.list_objects("pods", "--namespace", _TRAINING, "--selector", f"job-name={job}")
        for message in filter(None, map(_find_message, pods)):
            return TrainingResult(message["outcome"], message.get("version", ""), message.get("reasons", ()))
        if time.monotonic() >= deadline:
            raise DeliveryError(
                f"The run {job} has not ended within {seconds:g} s, and continues: `kubectl logs --namespace "
                f"{_TRAINING} job/{job}` shows its progress."
            )
        sleep(_INTERVAL)


def _find_message(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run's own termination message, or Kubernetes' reason if it wrote none; None while the run continues."""
    for status in pod.get("status", {}).get("containerStatuses", ()):
        ended = status.get("state", {}).get("terminated")
        if not ended:
            continue
        try:
            message = json.loads(ended.get("message", ""))
        except ValueError:
            message = None
        if isinstance(message, Mapping) and "outcome" in message:
            return message
        return {"outcome": "training-failed", "reasons": [str(ended.get("reason", "the container ended"))]}
    return None


def _execute(cluster: Cluster, deployment: str, module: str, *arguments: str) -> str:
    answer = cluster.execute(_LIFECYCLE, deployment, "python", "-m", module, *arguments)
    if answer.code:
        raise DeliveryError(f"`{module} {' '.join(arguments)}` in {deployment} failed: {_shorten(answer)}.")
    return answer.output


def _shorten(answer: Answer) -> str:
    """The command's reason: its error, or the outcome that it printed."""
    printed = answer.output.strip().splitlines()[-1:]
    return "; ".join([*printed, answer.reason] if answer.error.strip() else printed or [answer.reason]).rstrip(".")


def _serves(item: Mapping[str, Any], model: str, version: str) -> bool:
    labels = item["metadata"].get("labels", {})
    return (labels.get("app.kubernetes.io/name"), labels.get("app.kubernetes.io/version")) == (model, version)


def _is_ready(item: Mapping[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
