"""What happens to models in a rehearsal of their life, act by act; each waits until it has happened."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import requests

from rehearsal.console import UserError
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.scenarios import installation
from rehearsal.scenarios.environment import Stage
from rehearsal.scenarios.installation import until
from rehearsal.scenarios.processes import PACKAGE, PYTHON

MODEL = "breast-cancer"  # the training's default
URL = f"http://{MODEL}.models.example.com/predict"  # the hostname that the promotion gives the model's route

_SERVING = "serving.kserve.io/v1beta1"
_SCRIPTS = PACKAGE / "rehearsal"
_TRAINING = 600.0  # seconds; the pipeline's own steps take about a minute
_ROLLOUT = 600.0

# A rollout in minutes, not hours. What is judged, and how, is as in production.
_PACE = {"ROLLOUT_INTERVAL": "8", "ROLLOUT_POLL": "1", "ROLLOUT_REQUESTS": "20", "ROLLOUT_P95": "1"}
_CLIENTS = 4
_WAITING = ("good so far", "cannot be judged yet")


@dataclass(frozen=True)
class Ending:
    """What became of a rollout.

    said     what the rollout did, step by step, without what it waited for
    answers  how many answers the model's users got meanwhile, by `<version>/<status>`
    """

    said: Sequence[str]
    answers: Mapping[str, int]


def connect_registry(stage: Stage) -> None:
    """Start the promotion's receiver and worker, and have MLflow call the receiver."""
    address = f"http://{HOST}:{stage.receiver_port}"
    stage.processes.module("receiver", "lifecycle.promotion", "serve", "--port", str(stage.receiver_port))
    stage.processes.module("worker", "lifecycle.promotion", "work")
    stage.processes.answers("receiver", f"{address}/health")
    reply = requests.post(
        f"{stage.mlflow}/api/2.0/mlflow/webhooks",
        json={
            "name": "promotion",
            "url": f"{address}/webhooks/mlflow",
            "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}],
            "secret": stage.processes.environment["PROMOTION_WEBHOOK_SECRET"],
        },
        timeout=10,
    )
    if not reply.ok:
        raise UserError(f"MLflow refuses the webhook: {reply.text[:300]}")


def train(stage: Stage, name: str) -> str:
    """Run the pipeline, which ends with a registered challenger; returns its version."""
    stage.processes.module(name, "lifecycle.training", "run")
    stage.processes.finishes(name, _TRAINING)
    return challenger(stage)


def register_bad(stage: Stage, kind: str) -> str:
    """Register a challenger that passes the gate and does badly in production; returns its version."""
    stage.processes.start(f"train-{kind}", [PYTHON, _SCRIPTS / "bad_challengers.py", kind])
    stage.processes.finishes(f"train-{kind}", _TRAINING)
    return challenger(stage)


def promoted(stage: Stage, version: str) -> float:
    """Wait for the promotion's commit; returns the seconds from the webhook to it."""
    until(lambda: f"version {version}" in stage.repository.newest(), f"Version {version} is not promoted")
    until(lambda: _took(stage, version), f"The promotion of version {version} is not done")
    return _took(stage, version)


def synced(stage: Stage) -> None:
    """Wait until Argo CD has brought the newest commit into the cluster."""
    api, revision = stage.plane.api, stage.repository.head()
    until(
        lambda: installation.synced(api, stage.environment, revision),
        f"Argo CD has not synced {revision[:9]}",
        lambda: installation.differing(api, stage.environment),
    )


def ready(stage: Stage, role: str) -> None:
    """Wait until KServe says that a role's InferenceService is Ready."""
    until(lambda: _is_ready(stage, role), f"The InferenceService {MODEL}-{role} is not Ready")


def roll_out(stage: Stage, version: str, *, strange: float = 0.0) -> Ending:
    """Roll the challenger out while users ask for predictions, some of them for strange ones, to its end."""
    traffic, rollout = f"traffic-{version}", f"rollout-{version}"
    stage.processes.start(traffic, [PYTHON, _SCRIPTS / "traffic.py", URL, str(_CLIENTS), str(strange)])
    stage.processes.module(rollout, "lifecycle.rollout", "run", MODEL, **_PACE)
    stage.processes.finishes(rollout, _ROLLOUT)
    stage.plane.supervisor.stop(traffic)
    counted = [line for line in stage.processes.lines(traffic) if line.startswith("{")]
    steps = [line for line in stage.processes.lines(rollout) if line.startswith(f"{MODEL}: ")]
    said = [line for line in steps if not any(words in line for words in _WAITING)]
    return Ending(said, json.loads(counted[-1]) if counted else {})


def gone(stage: Stage, role: str) -> None:
    """Wait until a role's InferenceService, and all that KServe made of it, are gone."""
    until(lambda: not _find(stage, role), f"The InferenceService {MODEL}-{role} does not go")


def aliases(stage: Stage) -> Mapping[str, str]:
    """The versions by alias, as the registry says."""
    reply = requests.get(f"{stage.mlflow}/api/2.0/mlflow/registered-models/get", params={"name": MODEL}, timeout=10)
    found = reply.json().get("registered_model", {}).get("aliases", [])
    return {each["alias"]: str(each["version"]) for each in found}


def challenger(stage: Stage) -> str:
    found = aliases(stage).get("challenger")
    if found is None:
        raise UserError(f"The registry has no challenger of {MODEL} after its training.")
    return found


def weights(stage: Stage) -> Mapping[str, int]:
    """Percent by service, as the route in the cluster says."""
    route = stage.plane.api.get("gateway.networking.k8s.io/v1", "HTTPRoute", MODEL, "serving") or {}
    rules = route.get("spec", {}).get("rules") or [{}]
    return {each["name"]: each["weight"] for each in rules[0].get("backendRefs", ())}


def _took(stage: Stage, version: str) -> float:
    """Seconds from an event's arrival in the inbox to its end, 0 while it has none."""
    with closing(sqlite3.connect(stage.processes.folder / "inbox.db", timeout=10)) as inbox:
        statement = "SELECT finished - received FROM event WHERE version = ? AND outcome = 'promoted'"
        row = inbox.execute(statement, (version,)).fetchone()
    return float(row[0]) if row else 0.0


def _find(stage: Stage, role: str) -> Mapping[str, Any]:
    return stage.plane.api.get(_SERVING, "InferenceService", f"{MODEL}-{role}", "serving") or {}


def _is_ready(stage: Stage, role: str) -> bool:
    conditions = _find(stage, role).get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
