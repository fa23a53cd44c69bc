"""The steps of the model lifecycle. Each returns when what it starts has happened in the cluster or the registry."""

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
from rehearsal.scenarios import argocd_application
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.processes import package, python
from rehearsal.scenarios.waiting import wait_for_step

MODEL = "breast-cancer"  # the training's default
MODEL_URL = f"http://{MODEL}.models.example.com/predict"  # the promotion gives this hostname to the model's route

_NAMESPACE = "serving"
_SERVING = "serving.kserve.io/v1beta1"
_TRAINING_TIMEOUT = 600.0  # seconds; the pipeline takes about a minute
_ROLLOUT_TIMEOUT = 600.0  # seconds
_REQUEST_TIMEOUT = 10  # seconds

# A rollout in minutes instead of hours. Its guardrails and tests are those of production, but for their limit of time:
# a prediction takes some tenths of a second here, and several on a machine that does much else; the slow challenger's
# takes longer than the limit on any.
_ROLLOUT_SETTINGS = {
    "ROLLOUT_INTERVAL": "8",
    "ROLLOUT_POLL_INTERVAL": "1",
    "ROLLOUT_MIN_REQUESTS": "20",
    "ROLLOUT_MAX_P95": "4",
}
_CLIENTS = 4
_WAITING_MESSAGES = ("guardrails pass", "evaluation inconclusive")


@dataclass(frozen=True)
class RolloutResult:
    """How a rollout ended.

    messages   of the rollout's steps, without those about waiting
    responses  the number of responses that users got meanwhile, by `<version>/<status>`
    """

    messages: Sequence[str]
    responses: Mapping[str, int]


def start_promotion(environment: ScenarioEnvironment) -> None:
    """Start the promotion's receiver and worker, and register the receiver as a webhook of MLflow's."""
    url = f"http://{HOST}:{environment.receiver_port}"
    processes = environment.processes
    processes.start_module("receiver", "lifecycle.promotion", "serve", PORT=str(environment.receiver_port))
    processes.start_module("worker", "lifecycle.promotion", "work")
    processes.wait_until_ready("receiver", f"{url}/health")
    response = requests.post(
        f"{environment.mlflow_url}/api/2.0/mlflow/webhooks",
        json={
            "name": "promotion",
            "url": f"{url}/webhooks/mlflow",
            "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}],
            "secret": processes.environment["PROMOTION_WEBHOOK_SECRET"],
        },
        timeout=_REQUEST_TIMEOUT,
    )
    if not response.ok:
        raise UserError(f"MLflow rejects the webhook: {response.text[:300]}")


def train(environment: ScenarioEnvironment, name: str) -> str:
    """Run the training pipeline, which registers a challenger; returns its version."""
    environment.processes.start_module(name, "lifecycle.training", "run")
    environment.processes.wait_until_finished(name, _TRAINING_TIMEOUT)
    return get_challenger(environment)


def register_faulty_challenger(environment: ScenarioEnvironment, kind: str, name: str) -> str:
    """Register a challenger that passes the gate and fails in production, `slow` or `failing`; returns its version."""
    environment.processes.start(name, [python(), package() / "rehearsal" / "faulty_challengers.py", kind])
    environment.processes.wait_until_finished(name, _TRAINING_TIMEOUT)
    return get_challenger(environment)


def wait_until_promoted(environment: ScenarioEnvironment, version: str) -> float:
    """Wait for the promotion's commit; returns the seconds from the webhook to it."""
    repository = environment.repository
    wait_for_step(lambda: f"version {version}" in repository.head_message(), f"Version {version} is not promoted")
    wait_for_step(lambda: _promotion_time(environment, version), f"The promotion of version {version} has not finished")
    return _promotion_time(environment, version)


def wait_until_synced(environment: ScenarioEnvironment) -> None:
    """Wait until Argo CD has applied the latest commit."""
    api, revision = environment.plane.api, environment.repository.head_commit()
    wait_for_step(
        lambda: argocd_application.is_synced(api, revision),
        f"Argo CD has not synced {revision[:9]}",
        lambda: argocd_application.describe_out_of_sync(api),
    )


def wait_until_ready(environment: ScenarioEnvironment, role: str) -> None:
    """Wait until the InferenceService of a role, champion or challenger, is Ready."""
    wait_for_step(lambda: _is_ready(environment, role), f"The InferenceService {MODEL}-{role} is not Ready")


def roll_out(environment: ScenarioEnvironment, version: str, *, outlier_rate: float = 0.0) -> RolloutResult:
    """Roll a challenger out to its end while users request predictions.

    `outlier_rate` is the share of requests with a value that no row of the training data has.
    """
    traffic, rollout = f"traffic-{version}", f"rollout-{version}"
    processes = environment.processes
    processes.start(
        traffic, [python(), package() / "rehearsal" / "traffic.py", MODEL_URL, str(_CLIENTS), str(outlier_rate)]
    )
    processes.start_module(rollout, "lifecycle.rollout", "run", MODEL, **_ROLLOUT_SETTINGS)
    processes.wait_until_finished(rollout, _ROLLOUT_TIMEOUT)
    environment.plane.supervisor.stop(traffic)
    counts = [line for line in processes.output_lines(traffic) if line.startswith("{")]
    steps = [line for line in processes.output_lines(rollout) if line.startswith(f"{MODEL}: ")]
    messages = [line for line in steps if not any(waiting in line for waiting in _WAITING_MESSAGES)]
    return RolloutResult(messages, json.loads(counts[-1]) if counts else {})


def wait_until_deleted(environment: ScenarioEnvironment, role: str) -> None:
    """Wait until the InferenceService of a role is gone, with all that KServe created for it."""
    wait_for_step(
        lambda: not _get_inference_service(environment, role), f"The InferenceService {MODEL}-{role} is not deleted"
    )


def get_aliases(environment: ScenarioEnvironment) -> Mapping[str, str]:
    """The registry's model versions by alias."""
    url = f"{environment.mlflow_url}/api/2.0/mlflow/registered-models/get"
    response = requests.get(url, params={"name": MODEL}, timeout=_REQUEST_TIMEOUT)
    aliases = response.json().get("registered_model", {}).get("aliases", [])
    return {alias["alias"]: str(alias["version"]) for alias in aliases}


def get_challenger(environment: ScenarioEnvironment) -> str:
    """The version with the alias `challenger`. Raises UserError where there is none."""
    challenger = get_aliases(environment).get("challenger")
    if challenger is None:
        raise UserError(f"The registry has no challenger of {MODEL} after its training.")
    return challenger


def get_weights(environment: ScenarioEnvironment) -> Mapping[str, int]:
    """The weights of the HTTPRoute in the cluster by service, in percent."""
    route = environment.plane.api.get("gateway.networking.k8s.io/v1", "HTTPRoute", MODEL, _NAMESPACE) or {}
    rules = route.get("spec", {}).get("rules") or [{}]
    return {backend["name"]: backend["weight"] for backend in rules[0].get("backendRefs", ())}


def _promotion_time(environment: ScenarioEnvironment, version: str) -> float:
    """Seconds from an event's arrival in the inbox to its end; 0 while it has not ended."""
    with closing(sqlite3.connect(environment.processes.folder / "inbox.db", timeout=_REQUEST_TIMEOUT)) as inbox:
        statement = "SELECT finished - received FROM event WHERE version = ? AND outcome = 'promoted'"
        row = inbox.execute(statement, (version,)).fetchone()
    return float(row[0]) if row else 0.0


def _get_inference_service(environment: ScenarioEnvironment, role: str) -> Mapping[str, Any]:
    return environment.plane.api.get(_SERVING, "InferenceService", f"{MODEL}-{role}", _NAMESPACE) or {}


def _is_ready(environment: ScenarioEnvironment, role: str) -> bool:
    conditions = _get_inference_service(environment, role).get("status", {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
