"""The steps of the model lifecycle. Each returns when what it starts has happened in the cluster or the registry."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from rehearsal.console import UserError
from rehearsal.polling import WaitTimeoutError, wait_until
from rehearsal.scenarios import argocd_application
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.kubelet_stub import pod_log
from rehearsal.scenarios.pod_processes import find_service_pod
from rehearsal.scenarios.processes import package, python
from rehearsal.scenarios.waiting import wait_for_step

MODEL = "breast-cancer"  # the training's default

_NAMESPACE = "serving"
_SERVING = "serving.kserve.io/v1beta1"
_TRAINING_TIMEOUT = 600.0  # seconds; the pipeline takes about a minute
_ROLLOUT_TIMEOUT = 600.0  # seconds
_REQUEST_TIMEOUT = 10  # seconds

_CLIENTS = 4
_WAITING_MESSAGES = ("guardrails pass", "evaluation inconclusive", "waiting: ")
_END = re.compile(r"(settled|rolled-back): version ")
_FINAL = ("serving", "rolled-back")
_INTERVAL = 0.5  # seconds between two looks at a rollout
_SHOWN_MESSAGES = 5


@dataclass(frozen=True)
class RolloutResult:
    """How a rollout ended.

    messages   of the rollout's steps, without those about waiting
    responses  the number of responses that users got meanwhile, by `<version>/<status>`
    """

    messages: Sequence[str]
    responses: Mapping[str, int]


def wait_until_registered(environment: ScenarioEnvironment) -> None:
    """Wait until the promotion's worker has registered its webhook in MLflow."""
    url = f"{environment.mlflow_url}/api/2.0/mlflow/webhooks"
    wait_for_step(
        lambda: requests.get(url, timeout=_REQUEST_TIMEOUT).json().get("webhooks"),
        "The promotion's worker has not registered its webhook in MLflow",
    )


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
    """Request predictions as users do, until the cluster's controller has rolled a challenger out, or back.

    `outlier_rate` is the share of requests with a value that no row of the training data has.
    """
    with requesting(environment, f"traffic-{version}", outlier_rate):
        try:
            wait_until(
                lambda: _get_status(environment, version) in _FINAL, timeout=_ROLLOUT_TIMEOUT, interval=_INTERVAL
            )
        except WaitTimeoutError:
            tail = "\n".join(_rollout_messages(environment)[-_SHOWN_MESSAGES:])
            raise UserError(
                f"The rollout of version {version} has not ended after {_ROLLOUT_TIMEOUT:g} s. Its last steps:\n{tail}"
            ) from None
    lines = environment.processes.output_lines(f"traffic-{version}")
    counts = [line for line in lines if line.startswith("{")]
    messages = [line for line in _rollout_messages(environment) if not any(text in line for text in _WAITING_MESSAGES)]
    return RolloutResult(messages, json.loads(counts[-1]) if counts else {})


@contextmanager
def requesting(environment: ScenarioEnvironment, name: str, outlier_rate: float = 0.0) -> Iterator[None]:
    """Request predictions as users do, while the context lasts, by a process of this name."""
    program = package() / "rehearsal" / "traffic.py"
    arguments = [_find_url(environment), str(_CLIENTS), str(outlier_rate)]
    environment.processes.start(name, [python(), program, *arguments])
    try:
        yield
    finally:
        environment.plane.supervisor.stop(name)


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
    rules = _get_route(environment).get("spec", {}).get("rules") or [{}]
    return {backend["name"]: backend["weight"] for backend in rules[0].get("backendRefs", ())}


def _find_url(environment: ScenarioEnvironment) -> str:
    """Where the model's users request predictions: under the hostname that the promotion gave its route."""
    return f"http://{_get_route(environment)['spec']['hostnames'][0]}/predict"


def _get_route(environment: ScenarioEnvironment) -> Mapping[str, Any]:
    return environment.plane.api.get("gateway.networking.k8s.io/v1", "HTTPRoute", MODEL, _NAMESPACE) or {}


def _promotion_time(environment: ScenarioEnvironment, version: str) -> float:
    """Seconds from an event's arrival in the inbox to its end; 0 while it has not ended."""
    with closing(sqlite3.connect(environment.inbox, timeout=_REQUEST_TIMEOUT)) as inbox:
        statement = "SELECT finished - received FROM event WHERE version = ? AND outcome = 'promoted'"
        row = inbox.execute(statement, (version,)).fetchone()
    return float(row[0]) if row else 0.0


def _get_status(environment: ScenarioEnvironment, version: str) -> str:
    """A version's status tag in the registry."""
    url = f"{environment.mlflow_url}/api/2.0/mlflow/model-versions/get"
    response = requests.get(url, params={"name": MODEL, "version": version}, timeout=_REQUEST_TIMEOUT)
    tags = response.json().get("model_version", {}).get("tags", [])
    return next((str(tag["value"]) for tag in tags if tag["key"] == "groundwork.status"), "")


def _rollout_messages(environment: ScenarioEnvironment) -> list[str]:
    """What the rollout's controller has written of the latest rollout."""
    log = pod_log(environment.plane, find_service_pod(environment.plane.api, "rollout-controller"))
    messages: list[str] = []
    for line in log.read_text(errors="replace").splitlines():
        message = _read_message(line)
        if message:
            if messages and _END.match(messages[-1]):
                messages = []
            messages.append(message)
    return messages


def _read_message(line: str) -> str:
    """What a line of JSON says of the model's rollout; empty for any other line."""
    try:
        text = json.loads(line)["message"]
    except (ValueError, TypeError, KeyError):
        return ""
    return text.removeprefix(f"{MODEL}: ") if str(text).startswith(f"{MODEL}: ") else ""


def _get_inference_service(environment: ScenarioEnvironment, role: str) -> Mapping[str, Any]:
    return environment.plane.api.get(_SERVING, "InferenceService", f"{MODEL}-{role}", _NAMESPACE) or {}


def _is_ready(environment: ScenarioEnvironment, role: str) -> bool:
    conditions = _get_inference_service(environment, role).get("status", {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
