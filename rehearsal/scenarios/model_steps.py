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
from rehearsal.scenarios.environment import ScenarioEnvironment
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


def connect_registry(scenario: ScenarioEnvironment) -> None:
    """Start the promotion's receiver and worker, and have MLflow call the receiver."""
    address = f"http://{HOST}:{scenario.receiver_port}"
    scenario.processes.module("receiver", "lifecycle.promotion", "serve", "--port", str(scenario.receiver_port))
    scenario.processes.module("worker", "lifecycle.promotion", "work")
    scenario.processes.answers("receiver", f"{address}/health")
    reply = requests.post(
        f"{scenario.mlflow}/api/2.0/mlflow/webhooks",
        json={
            "name": "promotion",
            "url": f"{address}/webhooks/mlflow",
            "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}],
            "secret": scenario.processes.environment["PROMOTION_WEBHOOK_SECRET"],
        },
        timeout=10,
    )
    if not reply.ok:
        raise UserError(f"MLflow refuses the webhook: {reply.text[:300]}")


def train(scenario: ScenarioEnvironment, name: str) -> str:
    """Run the pipeline, which ends with a registered challenger; returns its version."""
    scenario.processes.module(name, "lifecycle.training", "run")
    scenario.processes.finishes(name, _TRAINING)
    return challenger(scenario)


def register_bad(scenario: ScenarioEnvironment, kind: str) -> str:
    """Register a challenger that passes the gate and does badly in production; returns its version."""
    scenario.processes.start(f"train-{kind}", [PYTHON, _SCRIPTS / "bad_challengers.py", kind])
    scenario.processes.finishes(f"train-{kind}", _TRAINING)
    return challenger(scenario)


def promoted(scenario: ScenarioEnvironment, version: str) -> float:
    """Wait for the promotion's commit; returns the seconds from the webhook to it."""
    until(lambda: f"version {version}" in scenario.repository.newest(), f"Version {version} is not promoted")
    until(lambda: _took(scenario, version), f"The promotion of version {version} is not done")
    return _took(scenario, version)


def synced(scenario: ScenarioEnvironment) -> None:
    """Wait until Argo CD has brought the newest commit into the cluster."""
    api, revision = scenario.plane.api, scenario.repository.head()
    until(
        lambda: installation.synced(api, scenario.environment, revision),
        f"Argo CD has not synced {revision[:9]}",
        lambda: installation.differing(api, scenario.environment),
    )


def ready(scenario: ScenarioEnvironment, role: str) -> None:
    """Wait until KServe says that a role's InferenceService is Ready."""
    until(lambda: _is_ready(scenario, role), f"The InferenceService {MODEL}-{role} is not Ready")


def roll_out(scenario: ScenarioEnvironment, version: str, *, outlier_rate: float = 0.0) -> Ending:
    """Roll the challenger out while users ask for predictions, some of them for strange ones, to its end."""
    traffic, rollout = f"traffic-{version}", f"rollout-{version}"
    scenario.processes.start(traffic, [PYTHON, _SCRIPTS / "traffic.py", URL, str(_CLIENTS), str(outlier_rate)])
    scenario.processes.module(rollout, "lifecycle.rollout", "run", MODEL, **_PACE)
    scenario.processes.finishes(rollout, _ROLLOUT)
    scenario.plane.supervisor.stop(traffic)
    counted = [line for line in scenario.processes.lines(traffic) if line.startswith("{")]
    steps = [line for line in scenario.processes.lines(rollout) if line.startswith(f"{MODEL}: ")]
    said = [line for line in steps if not any(words in line for words in _WAITING)]
    return Ending(said, json.loads(counted[-1]) if counted else {})


def gone(scenario: ScenarioEnvironment, role: str) -> None:
    """Wait until a role's InferenceService, and all that KServe made of it, are gone."""
    until(lambda: not _find(scenario, role), f"The InferenceService {MODEL}-{role} does not go")


def aliases(scenario: ScenarioEnvironment) -> Mapping[str, str]:
    """The versions by alias, as the registry says."""
    reply = requests.get(f"{scenario.mlflow}/api/2.0/mlflow/registered-models/get", params={"name": MODEL}, timeout=10)
    found = reply.json().get("registered_model", {}).get("aliases", [])
    return {each["alias"]: str(each["version"]) for each in found}


def challenger(scenario: ScenarioEnvironment) -> str:
    found = aliases(scenario).get("challenger")
    if found is None:
        raise UserError(f"The registry has no challenger of {MODEL} after its training.")
    return found


def weights(scenario: ScenarioEnvironment) -> Mapping[str, int]:
    """Percent by service, as the route in the cluster says."""
    route = scenario.plane.api.get("gateway.networking.k8s.io/v1", "HTTPRoute", MODEL, "serving") or {}
    rules = route.get("spec", {}).get("rules") or [{}]
    return {each["name"]: each["weight"] for each in rules[0].get("backendRefs", ())}


def _took(scenario: ScenarioEnvironment, version: str) -> float:
    """Seconds from an event's arrival in the inbox to its end, 0 while it has none."""
    with closing(sqlite3.connect(scenario.processes.folder / "inbox.db", timeout=10)) as inbox:
        statement = "SELECT finished - received FROM event WHERE version = ? AND outcome = 'promoted'"
        row = inbox.execute(statement, (version,)).fetchone()
    return float(row[0]) if row else 0.0


def _find(scenario: ScenarioEnvironment, role: str) -> Mapping[str, Any]:
    return scenario.plane.api.get(_SERVING, "InferenceService", f"{MODEL}-{role}", "serving") or {}


def _is_ready(scenario: ScenarioEnvironment, role: str) -> bool:
    conditions = _find(scenario, role).get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
